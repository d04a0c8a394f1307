package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestAudit_TellsWhoAskedForWhatAndWhatCameOfIt(t *testing.T) {
	var heard []Action
	w := guarded(t, Config{Audit: func(a Action) { heard = append(heard, a) }})
	api := "http://tiercel" + basePath
	send := func(method, path, body, token string) reply {
		var from io.Reader
		if body != "" {
			from = bytes.NewReader([]byte(body))
		}
		headers := []string{"X-Request-Id: r-1"}
		if token != "" {
			headers = append(headers, "Authorization: Bearer "+token)
		}
		return w.do(method, api+path, from, headers...)
	}
	require.Equal(t, 202, send("POST", "/cluster/scrub", `{"bandwidth_limit_bytes_per_second":5}`, "all-admin").status)
	require.Equal(t, 200, send("POST", "/cluster/workers/n-2/drain?dry_run=true", "", "all-admin").status)
	require.Equal(t, 400, send("POST", "/cluster/master/promote", `{"who":"x"}`, "all-admin").status)
	require.Equal(t, 403, send("POST", "/cluster/scrub", "", "all-rw").status)
	require.Equal(t, 403, send("DELETE", "/cluster/workers/n-2", "", "acme-admin").status)
	// What is no management, and what nobody known asked for.
	require.Equal(t, 401, send("POST", "/cluster/scrub", "", "").status)
	require.Equal(t, 401, send("POST", "/cluster/scrub", "", "forged").status)
	require.Equal(t, 200, send("GET", "/cluster/jobs", "", "all-admin").status)
	require.Equal(t, 201, send("PUT", "/files/a", "x", "acme-rw").status)

	type line struct {
		who, tenant, method, route, subject, body, outcome string
		status                                             int
	}
	var got []line
	for _, a := range heard {
		assert.Equal(t, "r-1", a.RequestID)
		assert.False(t, a.At.IsZero())
		assert.NotEmpty(t, a.Remote)
		got = append(got, line{a.Name + " " + string(a.Role), a.Tenant, a.Method, a.Route, a.Subject, a.Body, a.Outcome, a.Status})
	}
	assert.Equal(t, []line{
		{"all-admin admin", "", "POST", basePath + "/cluster/scrub", basePath + "/cluster/scrub", `{"bandwidth_limit_bytes_per_second":5}`, Done, 202},
		{"all-admin admin", "", "POST", basePath + "/cluster/workers/{id}/drain", basePath + "/cluster/workers/n-2/drain?dry_run=true", "", Done, 200},
		{"all-admin admin", "", "POST", basePath + "/cluster/master/promote", basePath + "/cluster/master/promote", `{"who":"x"}`, "invalid_argument", 400},
		{"all-rw read-write", "", "POST", basePath + "/cluster/scrub", basePath + "/cluster/scrub", "", "permission_denied", 403},
		{"acme-admin admin", "acme", "DELETE", basePath + "/cluster/workers/{id}", basePath + "/cluster/workers/n-2", "", "permission_denied", 403},
	}, got)
}

func TestAudit_EveryRouteThatManagesTheClusterIsInItDoneAndRefused(t *testing.T) {
	heard := make(chan Action, 100) // a stream tells at its end
	w := guarded(t, Config{Audit: func(a Action) { heard <- a }})
	w.gw.license, w.gw.backup.content = &messages.LicenseInfo{Level: "free"}, []byte("snapshot")
	managed := 0
	for _, rt := range w.server.routes {
		key := rt.method + " " + plainPattern(rt.pattern)
		url := "http://tiercel" + strings.NewReplacer("{path}", "a", "{id}", "1").Replace(plainPattern(rt.pattern))
		for _, who := range []string{"all-admin", "all-ro"} {
			w.do(rt.method, url, nil, "Authorization: Bearer "+who)
			if allowed[key] != "A" {
				continue // of one tenant's files, or it changes nothing
			}
			managed++
			select {
			case a := <-heard:
				assert.Equal(t, who, a.Name, key)
				assert.Equal(t, plainPattern(rt.pattern), a.Route)
				assert.Equal(t, who == "all-ro", a.Outcome == "permission_denied", key)
			case <-time.After(longEnough):
				assert.Fail(t, "not in the audit log", "%s by %s", key, who)
			}
		}
	}
	assert.Empty(t, heard, "nothing else is")
	assert.Greater(t, managed, 20)
}

// What is not known of a query may be anything; of what is known, only the beginning is repeated.
func TestAudit_OfAQueryOnlyWhatIsKnownIsRepeated(t *testing.T) {
	var heard []Action
	w := guarded(t, Config{Audit: func(a Action) { heard = append(heard, a) }})
	w.do("DELETE", storageURL+"/cluster/workers/n-2?force=true&password=hunter2&hunter3", nil, "Authorization: Bearer all-admin")
	require.Len(t, heard, 1)
	assert.Equal(t, basePath+"/cluster/workers/n-2?force=true&…&…", heard[0].Subject)
}

func TestAudit_WithoutAuthenticationAnybodyIsNamed(t *testing.T) {
	var heard []Action
	w := inMemory(t, Config{Audit: func(a Action) { heard = append(heard, a) }})
	require.Equal(t, 202, w.do("POST", "http://tiercel"+basePath+"/cluster/scrub", nil).status)
	require.Len(t, heard, 1)
	assert.Equal(t, "anybody", heard[0].Name)
}

func TestAudit_ABodyIsRepeatedOnlyInItsBeginning(t *testing.T) {
	var heard []Action
	w := inMemory(t, Config{Audit: func(a Action) { heard = append(heard, a) }})
	long := append([]byte(`{"who":"`), bytes.Repeat([]byte("x"), 10_000)...)
	require.Equal(t, 400, w.do("POST", "http://tiercel"+basePath+"/cluster/scrub", bytes.NewReader(append(long, `"}`...))).status)
	require.Len(t, heard, 1)
	assert.Len(t, heard[0].Body, maxAuditedBodyBytes)
}

// Whatever somebody sends by mistake where no token belongs, the log has none.
func TestAudit_NoTokenIsWrittenDownWhereverItWasSent(t *testing.T) {
	secret := model.TokenPrefix + strings.Repeat("s-_9", 10) + "abc"
	const admin = "Authorization: Bearer all-admin"
	for name, c := range map[string]struct{ path, body, header, want string }{
		"a value of the query":   {"/cluster/scrub?token=" + secret, "", "", "/cluster/scrub?…"},
		"a name of the query":    {"/cluster/scrub?" + secret, "", "", "/cluster/scrub?…"},
		"a known parameter":      {"/cluster/workers/n-1/drain?dry_run=" + secret, "", "", "/drain?dry_run=tiercel_…"},
		"a segment of the path":  {"/cluster/jobs/" + secret + "/pause", "", "", "/cluster/jobs/tiercel_…/pause"},
		"percent-encoded":        {"/cluster/jobs/tiercel%5f" + strings.TrimPrefix(secret, "tiercel_") + "/pause", "", "", "/cluster/jobs/tiercel_…/pause"},
		"a body":                 {"/cluster/scrub", `{"token":"` + secret + `"}`, "", "/cluster/scrub"},
		"the id of the request":  {"/cluster/scrub", "", "X-Request-Id: " + secret, "/cluster/scrub"},
		"what is known is there": {"/cluster/workers/n-1/drain?dry_run=true", "", "", "/cluster/workers/n-1/drain?dry_run=true"},
	} {
		var heard []Action
		w := guarded(t, Config{Audit: func(a Action) { heard = append(heard, a) }})
		headers := []string{admin}
		if c.header != "" {
			headers = append(headers, c.header)
		}
		w.do("POST", storageURL+c.path, bodyOf(c.body), headers...)
		require.Len(t, heard, 1, name)
		line, err := json.Marshal(heard[0])
		require.NoError(t, err)
		assert.NotContains(t, string(line), secret[len("tiercel_"):], name)
		assert.Contains(t, heard[0].Subject, c.want, name)
	}
}
