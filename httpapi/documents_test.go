package httpapi

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

type openAPI struct {
	OpenAPI    string                                `json:"openapi"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]json.RawMessage `json:"parameters"`
		Responses  map[string]json.RawMessage `json:"responses"`
		Schemas    map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

func readDocument(t *testing.T) (doc openAPI, text []byte) {
	w := inMemory(t, Config{})
	r := w.do("GET", "http://tiercel/openapi.json", nil)
	require.Equal(t, 200, r.status)
	require.NoError(t, json.Unmarshal(r.body, &doc))
	assert.True(t, strings.HasPrefix(doc.OpenAPI, "3.1."))
	return doc, r.body
}

func TestOpenAPI_NamesExactlyTheRoutesThatAreServed(t *testing.T) {
	doc, _ := readDocument(t)
	var documented, served []string
	for path, operations := range doc.Paths {
		for method := range operations {
			if method != "parameters" {
				documented = append(documented, strings.ToUpper(method)+" "+path)
			}
		}
	}
	for _, rt := range New(Config{}, newFake()).routes {
		served = append(served, rt.method+" "+plainPattern(rt.pattern))
	}
	sort.Strings(documented)
	sort.Strings(served)
	assert.Equal(t, served, documented)
}

func TestOpenAPI_NamesEveryErrorCodeWithItsStatus(t *testing.T) {
	doc, _ := readDocument(t)
	var codes struct {
		Enum        []string `json:"enum"`
		Description string   `json:"description"`
	}
	require.NoError(t, json.Unmarshal(doc.Components.Schemas["ErrorCode"], &codes))
	var want []string
	for _, code := range model.Codes {
		want = append(want, string(code))
		assert.Regexp(t, fmt.Sprintf(`\b%s %d\b`, code, statuses[code].status), codes.Description)
	}
	assert.ElementsMatch(t, want, codes.Enum)
}

func TestOpenAPI_ReferencesAndFieldsResolve(t *testing.T) {
	doc, text := readDocument(t)
	defined := map[string]bool{}
	for kind, of := range map[string]map[string]json.RawMessage{
		"parameters": doc.Components.Parameters, "responses": doc.Components.Responses, "schemas": doc.Components.Schemas} {
		for name := range of {
			defined["#/components/"+kind+"/"+name] = true
		}
	}
	used := 0
	for _, piece := range strings.Split(string(text), `"$ref": "`)[1:] {
		ref, _, _ := strings.Cut(piece, `"`)
		assert.True(t, defined[ref], ref)
		used++
	}
	assert.Greater(t, used, 20)

	// What is answered is what is described.
	w := inMemory(t, Config{})
	w.gw.status = func() (*messages.ClusterStatusReply, error) { return &messages.ClusterStatusReply{}, nil }
	receipt := w.put("/a", []byte("x")).body
	assertDescribed(t, doc, "Receipt", receipt)
	assertDescribed(t, doc, "Listing", w.do("GET", fileURL, nil).body)
	assertDescribed(t, doc, "Error", w.get("/gone").body)
	batch := w.do("POST", batchURL, strings.NewReader(lineOf("/b", "x")+"{}"), "Content-Type: "+typeNDJSON).body
	assertDescribed(t, doc, "BatchAnswer", batch)
	var items struct{ Items []json.RawMessage }
	require.NoError(t, json.Unmarshal(batch, &items))
	for _, item := range items.Items {
		assertDescribed(t, doc, "BatchItem", item)
	}
	assertDescribed(t, doc, "BatchEnded", w.do("POST", batchURL, strings.NewReader("\x00\x01"), "Content-Type: "+typeRecords).body)
	assertDescribed(t, doc, "BatchEnded", w.do("POST", batchURL, strings.NewReader("x"), "Content-Type: "+typeTar).body)
	assertDescribed(t, doc, "ClusterStatus", w.do("GET", "http://tiercel/api/v1/storage/cluster/status", nil).body)
}

// assertDescribed checks that an answer has no field its schema does not have,
// and none missing that it requires.
func assertDescribed(t *testing.T, doc openAPI, schema string, answer []byte) {
	t.Helper()
	var s struct {
		Required   []string                   `json:"required"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var got map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(doc.Components.Schemas[schema], &s))
	require.NoError(t, json.Unmarshal(answer, &got))
	for _, field := range s.Required {
		assert.Contains(t, got, field, schema)
	}
	for field := range got {
		assert.Contains(t, s.Properties, field, schema)
	}
}

func TestStatus_SaysWhatIsKnown(t *testing.T) {
	w := inMemory(t, Config{})
	status := func() string {
		r := w.do("GET", "http://tiercel/api/v1/storage/cluster/status", nil)
		require.Equal(t, 200, r.status, "%s", r.body)
		return string(r.body)
	}
	w.gw.status = func() (*messages.ClusterStatusReply, error) {
		return &messages.ClusterStatusReply{
			Cluster: &messages.ClusterRow{ClusterId: "c-1", Generation: 2, Term: 7, Master: "n-1", MasterSinceUnixMs: 1772600767089},
			Totals:  []*messages.TenantRow{{UsedBytes: 100, Files: 3}},
			Volumes: []*messages.VolumeRow{{CommittedEnd: 150, Members: make([]*messages.VolumeMember, 2)}},
			Workers: []*messages.WorkerRow{{Address: "a:1", DiskType: "nvme"}}, WorkerNodes: []string{"n-1"}, Ready: true,
			Capacity: []*messages.CapacityReport{{TotalBytes: 10, UsedBytes: 4, FreeBytes: 6, DiskType: "nvme"}},
			State:    "healthy", Warnings: []string{"one copy only"},
		}, nil
	}
	assert.JSONEq(t, `{"cluster_id":"c-1","epoch":"2.7","state":"healthy",
	 "master":{"worker_id":"n-1","address":"a:1","since":"2026-03-04T05:06:07Z"},
	 "workers":{"total":1,"healthy":1,"degraded":0,"unreachable":0,"decommissioned":0,"draining":0},
	 "capacity":{"total_bytes":10,"used_bytes":4,"free_bytes":6,"by_disk_type":{"nvme":{"total_bytes":10,"used_bytes":4,"free_bytes":6}}},
	 "files":{"count":3,"logical_bytes":100,"raw_bytes":300},
	 "replication":{"debt_bytes":{"1":64,"2":0,"3":0},"oldest_debt_seconds":7.5,"pending_operations":2},
	 "storm_brake":{"engaged":false,"reason":null,"would_move_bytes":0},"license":null,"warnings":["one copy only"],"unknown":["license"]}`, status())

	w.gw.notReady = "the master is away"
	assert.Contains(t, status(), `"replication":{"debt_bytes":{"1":0,"2":0,"3":0},"oldest_debt_seconds":null,"pending_operations":2}`, "the catalog's rows say the rest")
	assert.Contains(t, status(), `"unknown":["replication.oldest_debt_seconds","license"]`)

	w.gw.status = func() (*messages.ClusterStatusReply, error) {
		return nil, model.Errorf(model.CodeNoMaster, "status", "an election is under way")
	}
	assert.JSONEq(t, `{"state":"no_master","master":null,"workers":null,"capacity":null,"files":null,"replication":null,"storm_brake":null,"license":null,
	 "warnings":["an election is under way"],"unknown":["master","workers","capacity","files","replication","storm_brake","license"]}`, status())

	w.gw.status = func() (*messages.ClusterStatusReply, error) {
		return nil, model.Errorf(model.CodeInternal, "status", "broken")
	}
	wantError(t, w.do("GET", "http://tiercel/api/v1/storage/cluster/status", nil), 500, "internal")
}

func TestProbes_SayUpAndReady(t *testing.T) {
	w := inMemory(t, Config{})
	assert.JSONEq(t, `{"status":"ok"}`, string(w.do("GET", "http://tiercel/healthz", nil).body))
	assert.JSONEq(t, `{"ready":true}`, string(w.do("GET", "http://tiercel/readyz", nil).body))
	assert.Equal(t, 200, w.do("HEAD", "http://tiercel/readyz", nil).status)
	w.gw.notReady = "the log is being replayed"
	assert.Equal(t, 200, w.do("GET", "http://tiercel/healthz", nil).status)
	r := w.do("GET", "http://tiercel/readyz", nil)
	assert.Contains(t, wantError(t, r, 503, "unavailable").Error.Message, "the log is being replayed")
	assert.NotEmpty(t, r.header.Get("Retry-After"))
}

func TestDashboard_LoadsNothingFromElsewhere(t *testing.T) {
	w := inMemory(t, Config{})
	r := w.do("GET", "http://tiercel/", nil)
	assert.Equal(t, 200, r.status)
	assert.Equal(t, "text/html; charset=utf-8", r.header.Get("Content-Type"))
	assert.Contains(t, r.header.Get("Content-Security-Policy"), "default-src 'none'")
	assert.Contains(t, string(r.body), basePath+"/cluster/status")
	for _, elsewhere := range []string{"http://", "https://", "//cdn", "<img", "<link", "innerHTML"} {
		assert.NotContains(t, string(r.body), elsewhere)
	}
}

func TestMetrics_CountRequestsByRouteAndNeverByPath(t *testing.T) {
	reg := prometheus.NewRegistry()
	others := prometheus.NewCounter(prometheus.CounterOpts{Name: "tiercel_other_things_total", Help: "Of another package."})
	reg.MustRegister(others)
	w := inMemory(t, Config{Registry: reg})
	w.put("/secret", pattern(100_000))
	w.put("/secret", []byte("y"))
	w.get("/secret")
	w.get("/gone")
	w.do("GET", "http://tiercel/nowhere", nil)
	r := w.do("GET", "http://tiercel/metrics", nil)
	require.Equal(t, 200, r.status)
	text := string(r.body)
	for _, line := range []string{
		`tiercel_http_requests_total{method="PUT",route="/api/v1/storage/files/{path}",status="2xx"} 2`,
		`tiercel_http_requests_total{method="GET",route="/api/v1/storage/files/{path}",status="2xx"} 1`,
		`tiercel_http_requests_total{method="GET",route="/api/v1/storage/files/{path}",status="4xx"} 1`,
		`tiercel_http_requests_total{method="any",route="unknown",status="4xx"} 1`,
		`tiercel_http_request_duration_seconds_count{method="PUT",route="/api/v1/storage/files/{path}"} 2`,
		`tiercel_http_requests_in_flight 1`,
		`tiercel_other_things_total 0`,
	} {
		assert.Contains(t, text, line+"\n")
	}
	assert.Regexp(t, `tiercel_http_open_connections [1-9]`, text)
	assert.NotContains(t, text, "secret")
	assert.NotContains(t, text, "nowhere")
	assert.Greater(t, valueOf(w.server.met.bytesIn), 100_000.0)
	assert.NotEmpty(t, r.header.Get("X-Request-Id"))
}

func TestOpenAPI_EveryRequestHasAnExampleThatCanBeSent(t *testing.T) {
	doc, _ := readDocument(t)
	type parameter struct {
		Ref      string `json:"$ref"`
		Name     string `json:"name"`
		Required bool   `json:"required"`
		Example  any    `json:"example"`
	}
	resolve := func(p parameter) parameter {
		if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			require.NoError(t, json.Unmarshal(doc.Components.Parameters[name], &p))
		}
		return p
	}
	for path, methods := range doc.Paths {
		for method, raw := range methods {
			var o struct {
				Tags        []string    `json:"tags"`
				Parameters  []parameter `json:"parameters"`
				RequestBody struct {
					Content map[string]struct {
						Example any                     `json:"example"`
						Schema  struct{ Format string } `json:"schema"`
					} `json:"content"`
				} `json:"requestBody"`
			}
			if method == "parameters" {
				require.NoError(t, json.Unmarshal(raw, &o.Parameters))
			} else {
				require.NoError(t, json.Unmarshal(raw, &o))
				assert.NotEmpty(t, o.Tags, "%s %s belongs to no tag", method, path)
			}
			for _, p := range o.Parameters {
				p = resolve(p)
				assert.False(t, p.Required && p.Example == nil, "%s %s: the required parameter %s needs an example", method, path, p.Name)
			}
			sendable := false
			for _, body := range o.RequestBody.Content {
				sendable = sendable || body.Example != nil
			}
			for media, body := range o.RequestBody.Content {
				if sendable && body.Schema.Format == "binary" {
					continue // JSON has no way to write it that a person could read
				}
				assert.NotNil(t, body.Example, "%s %s: the body of %s needs an example", method, path, media)
			}
		}
	}
}
