package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

// told is what a server with tokens told of, each apart.
type told struct{ done, refused []Action }

func telling(t *testing.T) (*world, *told) {
	heard := &told{}
	return guarded(t, Config{
		Audit:   func(a Action) { heard.done = append(heard.done, a) },
		Refused: func(a Action) { heard.refused = append(heard.refused, a) },
	}), heard
}

func TestRefused_EveryRefusalOfEveryRouteIsToldOnceAndNothingElseIs(t *testing.T) {
	w, heard := telling(t)
	refusals := 0
	for _, rt := range append(w.server.routes, w.server.stray(noRoute)) {
		key := rt.method + " " + plainPattern(rt.pattern)
		method, url := rt.method, "http://tiercel"+strings.NewReplacer("{path}", "a", "{id}", "1").Replace(plainPattern(rt.pattern))
		if rt.pattern == "unknown" {
			method, url = "GET", "http://tiercel/nowhere"
		}
		for _, caller := range callers {
			*heard = told{}
			var headers []string
			if caller.secret != "" {
				headers = []string{"Authorization: Bearer " + caller.secret}
			}
			status := w.do(method, url, nil, headers...).status
			name := key + " by " + caller.letter + caller.secret
			if status != 401 && status != 403 {
				assert.Empty(t, heard.refused, name)
				continue
			}
			refusals++
			all := append(heard.refused, heard.done...)
			if !assert.Len(t, all, 1, "not told, or told twice: %s", name) {
				continue
			}
			a := all[0]
			assert.Equal(t, rt.needs.audited && status == 403, len(heard.done) == 1, "%s: a known token that would manage is in the log of actions", name)
			assert.Equal(t, status, a.Status, name)
			assert.Equal(t, map[int]string{401: "unauthenticated", 403: "permission_denied"}[status], a.Outcome, name)
			assert.Equal(t, plainPattern(rt.pattern), a.Route, name)
			assert.Equal(t, rt.method, a.Method, name)
			if status == 401 {
				assert.Empty(t, a.Name, name)
				assert.Empty(t, a.Role, name)
			} else {
				assert.Equal(t, testBearers[caller.secret].Name, a.Name, name)
				assert.Equal(t, testBearers[caller.secret].Role, a.Role, name)
			}
			assert.NotEmpty(t, a.Remote, name)
			assert.WithinDuration(t, time.Now(), a.At, longEnough, name)
		}
	}
	assert.Greater(t, refusals, 150)
}

func TestRefused_AnotherTenantIsToldAlthoughTheAnswerIsThatThereIsNone(t *testing.T) {
	w, heard := telling(t)
	require.Equal(t, 404, w.get("/a", "Authorization: Bearer umbrella", "X-Tenant-ID: acme").status)
	require.Len(t, heard.refused, 1)
	a := heard.refused[0]
	assert.Equal(t, "umbrella", a.Name)
	assert.Equal(t, "umbrella", a.Tenant)
	assert.Equal(t, "not_found", a.Outcome)
	assert.Equal(t, 404, a.Status)
	assert.Contains(t, a.Detail, `"acme"`, "which one was asked for")
	// What is not there, or was not understood, is no refusal of who sent it.
	*heard = told{}
	assert.Equal(t, 404, w.get("/a", "Authorization: Bearer umbrella").status)
	assert.Equal(t, 400, w.get("/a", "Authorization: Bearer umbrella", "X-Tenant-ID: Not A Tenant").status)
	assert.Equal(t, told{}, *heard)
}

// Who is refused must have no say in what is kept: neither how much, nor a secret.
func TestRefused_NothingThatWasSentIsRepeated(t *testing.T) {
	secret := model.TokenPrefix + strings.Repeat("s-_9", 10) + "abc"
	for name, headers := range map[string][]string{
		"nobody":            {"Authorization: Bearer " + secret},
		"another scheme":    {"Authorization: Basic " + secret},
		"no token":          nil,
		"a role too little": {"Authorization: Bearer acme-ro"},
		"another tenant":    {"Authorization: Bearer acme-rw", "X-Tenant-ID: umbrella"},
		"its request id":    {"X-Request-Id: " + secret},
	} {
		w, heard := telling(t)
		w.do("PUT", fileURL+"/"+secret+strings.Repeat("/hunter2", 100)+"?x="+secret, bodyOf("hunter3"), headers...)
		require.Len(t, heard.refused, 1, name)
		line, err := json.Marshal(heard.refused[0])
		require.NoError(t, err)
		for _, sent := range []string{secret[len("tiercel_"):], "hunter2", "hunter3"} {
			assert.NotContains(t, string(line), sent, name)
		}
		assert.Less(t, len(line), 1<<10, name)
		assert.Equal(t, basePath+"/files/{path}", heard.refused[0].Route, name)
		assert.NotEmpty(t, heard.refused[0].Detail, "%s: why", name)
	}
}
