package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const explainURL = clusterURL + "/placement/explain"

func TestExplain_SaysWhereContentWouldGoAndWhy(t *testing.T) {
	w := inMemory(t, Config{})
	doc, _ := readDocument(t)
	r := w.do("GET", explainURL+"?path=/audit/a&size=5", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, `{"path":"/audit/a","tier":2,"tier_reason":"the path begins with /audit/","size_bytes":5,"copies":3,"min_copies":1,
	 "weights":{"free_capacity":0.4,"disk_type":0.3,"io_load":0.2,"latency":0.1},
	 "workers":[
	  {"worker_id":"n-1","terms":{"free_capacity":1,"disk_type":0.5,"io_load":0.25,"latency":0.75},"score":0.6,"refusal":null,"detail":"","open_volumes":2,"chosen":true,"place":1},
	  {"worker_id":"n-2","terms":{"free_capacity":0,"disk_type":0,"io_load":0,"latency":0},"score":0,"refusal":"draining","detail":"it is being drained","open_volumes":0,"chosen":false,"place":null}],
	 "choice":["n-1"],
	 "open_volumes":[{"volume_id":5,"state":"open","tier":2,"end_bytes":9,"members":[{"worker_id":"n-1","primary":true,"verified":true,"job_id":"7","cause":"n-9 left: n-1 0.70"}],"decision":"n-1 0.60"}],
	 "current":null}`, string(r.body))
	assertDescribed(t, doc, "Explanation", r.body)

	r = w.do("GET", explainURL+"?tier=1&from=n-2", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.Contains(t, string(r.body), `"path":"","tier":1,"tier_reason":"asked for"`)
}

func TestExplain_SaysWhereAFileIsAndWhy(t *testing.T) {
	w := inMemory(t, Config{})
	w.put("/audit/asked", []byte("x"), "X-Storage-Tier: 2")
	w.put("/models/m", []byte("xyz"))
	w.put("/tmp/moved", []byte("x"))
	for path, want := range map[string]string{
		"/audit/asked": `"current":{"version":1,"size_bytes":1,"tier":2,"tier_reason":"it was asked for, when the file was stored or moved to the tier","volume_ids":[101],"members":["n-1"],"volumes":[{"volume_id":101,"state":"open",`,
		"/models/m":    `"current":{"version":2,"size_bytes":3,"tier":1,"tier_reason":"the path begins with /models/"`,
		"/tmp/moved":   `"tier":1,"tier_reason":"it was given to the path where it was stored, or by an earlier table`,
	} {
		r := w.do("GET", explainURL+"?path="+path, nil)
		require.Equal(t, 200, r.status, "%s", r.body)
		assert.Contains(t, string(r.body), want)
	}
}

// How full and how busy workers and volumes are is the sum over all tenants.
func TestExplain_TellsATenantItsOwnPlacementAndNoSumsOverOthers(t *testing.T) {
	w := guarded(t, Config{})
	doc, _ := readDocument(t)
	const acme = "Authorization: Bearer acme-ro"
	w.gw.status = nil
	w.put("/models/m", []byte("xyz"), "Authorization: Bearer acme-rw")
	r := w.do("GET", explainURL+"?path=/models/m&size=5", nil, acme)
	require.Equal(t, 200, r.status, "%s", r.body)
	assertDescribed(t, doc, "Explanation", r.body)
	for _, told := range []string{`"tier_reason":"the path begins with /models/"`, `"choice":["n-1"]`, `"members":["n-1"]`, `"decision":"`, `"end_bytes":null`} {
		assert.Contains(t, string(r.body), told)
	}
	for _, hidden := range []string{`"terms"`, `"score"`, `"detail"`, `"open_volumes":[{`} {
		assert.NotContains(t, string(r.body), hidden)
	}
	r = w.do("GET", explainURL+"?path=/models/m", nil, "Authorization: Bearer all-ro")
	assert.Contains(t, string(r.body), `"terms"`, "a token of the cluster is told")
}

func TestExplain_EveryWayToAskWrongly(t *testing.T) {
	w := inMemory(t, Config{})
	for query, want := range map[string]string{
		"":                             "give a path, a tier, or both",
		"?path=":                       "give a path, a tier, or both",
		"?path=a":                      `must start with "/"`,
		"?path=/a/../b":                `".." segment`,
		"?tier=4":                      "must be 1 (critical)",
		"?tier=01":                     "must be 1 (critical)",
		"?path=/a&size=-1":             "the size must be a number of bytes",
		"?path=/a&size=1KiB":           "the size must be a number of bytes",
		"?path=/a&size=99999999999999": "the size must be a number of bytes",
		"?path=/a&from=" + strings.Repeat("x", 200): "does not exist",
		"?path=/a&path=/b":                          "given twice",
		"?paht=/a":                                  "did you mean",
	} {
		e := wantError(t, w.do("GET", explainURL+query, nil), 400, "invalid_argument")
		assert.Contains(t, e.Error.Message, want, query)
	}
	wantError(t, w.do("GET", explainURL+"?path=/a", nil, "X-Tenant-ID: Bad Tenant"), 400, "invalid_argument")
	wantError(t, w.do("POST", explainURL+"?path=/a", nil), 405, "method_not_allowed")
}
