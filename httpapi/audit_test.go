package httpapi

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
