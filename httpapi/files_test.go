package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestFiles_ComeBackAsTheyWereSentInEverySize(t *testing.T) {
	w := inMemory(t, Config{})
	for _, size := range []int{0, 1, 4 << 10, 8<<10 + 1, smallFileBytes, smallFileBytes + 1, 256 << 10, 1<<20 + 1, 20 << 20} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, chunked %v", size, chunked), func(t *testing.T) {
				content := pattern(size)
				var body io.Reader = bytes.NewReader(content)
				if chunked {
					body = struct{ io.Reader }{body}
				}
				stored := w.do("PUT", fileURL+"/a/b", body)
				require.Contains(t, []int{200, 201}, stored.status, "%s", stored.body)
				r := w.get("/a/b")
				require.NoError(t, r.err)
				assert.Equal(t, 200, r.status)
				assert.True(t, bytes.Equal(content, r.body), "%d bytes came back", len(r.body))
				assert.Equal(t, int64(size), r.length)
				assert.Equal(t, stored.header.Get("ETag"), r.header.Get("ETag"))
			})
		}
	}
}

func TestFiles_OfManyExtentsComeBackWhole(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.extentBytes = 100_003
	content := pattern(3<<20 + 17)
	w.put("/big", content)
	assert.True(t, bytes.Equal(content, w.get("/big").body))
}

func TestFiles_KeepTheirAttributes(t *testing.T) {
	w := inMemory(t, Config{})
	r := w.put("/models/ä b.bin", []byte("hello"), "Content-Type: text/x; q=1", "X-Meta-Run-ID: Läufer 7", "X-Meta-Empty: ", "X-Storage-Tier: 2",
		"X-Tenant-ID: acme", "X-Storage-Colour: red", "Idempotency-Key: k1")
	assert.Equal(t, 201, r.status)
	put := w.gw.puts[0]
	assert.Equal(t, "/models/ä b.bin", put.Path)
	assert.Equal(t, "k1", put.IdempotencyKey)
	assert.Equal(t, int64(5), put.Size)
	assert.Equal(t, map[string]string{"run-id": "Läufer 7", "empty": ""}, put.Meta)

	wantError(t, w.get("/models/%C3%A4%20b.bin"), 404, "not_found") // another tenant's namespace
	for _, method := range []string{"GET", "HEAD"} {
		got := w.do(method, fileURL+"/models/%C3%A4%20b.bin", nil, "X-Tenant-ID: acme")
		assert.Equal(t, 200, got.status)
		assert.Equal(t, "text/x; q=1", got.header.Get("Content-Type"))
		assert.Equal(t, "Läufer 7", got.header.Get("X-Meta-Run-Id"))
		assert.Contains(t, got.header, "X-Meta-Empty")
		assert.Equal(t, "2", got.header.Get("X-Storage-Tier"))
		assert.Equal(t, "1", got.header.Get("X-Storage-Version"))
		assert.Equal(t, `"1-9a71bb4c"`, got.header.Get("ETag"))
		assert.Equal(t, "mnG7TA==", got.header.Get("X-Checksum-Crc32c"))
		assert.Equal(t, "Wed, 04 Mar 2026 05:06:07 GMT", got.header.Get("Last-Modified"))
		assert.Equal(t, "bytes", got.header.Get("Accept-Ranges"))
		assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
		assert.Equal(t, int64(5), got.length, method)
	}
	assert.Empty(t, w.do("HEAD", fileURL+"/models/%C3%A4%20b.bin", nil, "X-Tenant-ID: acme").body)
}

func TestReceipt_SaysWhereTheVersionIs(t *testing.T) {
	w := inMemory(t, Config{})
	const want = `{"path":"/a \"b\"","version":1,"epoch":"1.4","size_bytes":5,"etag":"\"1-9a71bb4c\"","checksum_crc32c":"mnG7TA==",
	 "tier":{"asked":2,"achieved":2,"copies_wanted":2,"copies_durable":1},
	 "replicas":[{"worker_id":"n-1","durable":true,"in_sync":true}],"volume_ids":[101],"modified_at":"2026-03-04T05:06:07.089Z"}`
	created := w.put("/a%20%22b%22", []byte("hello"), "X-Storage-Tier: 2")
	assert.Equal(t, 201, created.status)
	assert.JSONEq(t, want, string(created.body))
	assert.Equal(t, `"1-9a71bb4c"`, created.header.Get("ETag"))
	for _, query := range []string{"?receipt", "?receipt=true", "?x=1&receipt=1"} {
		now := w.get("/a%20%22b%22" + query)
		assert.JSONEq(t, strings.Replace(want, "1.4", "1.5", 1), string(now.body), query)
	}
	assert.Equal(t, "hello", string(w.get("/a%20%22b%22?receipt=false").body))
	wantError(t, w.get("/a%20%22b%22?receipt=maybe"), 400, "invalid_argument")
	assert.Equal(t, 200, w.put("/a%20%22b%22", []byte("again")).status)
}

func TestReceipt_CountsACopyAsDurableOnlyWhereItsVolumesSaySo(t *testing.T) {
	sealed := func(tier uint32, verified ...bool) *messages.VolumeRow {
		v := openVolume(1, tier, []string{"a", "b", "c"}[:len(verified)]...)
		v.State = messages.VolumeState_SEALED
		for i, ok := range verified {
			v.Members[i].Verified = ok
		}
		return v
	}
	for _, c := range []struct {
		name    string
		volumes []*messages.VolumeRow
		durable uint32
		copies  []replica
	}{
		{"tier 1 open: every member has fsynced", []*messages.VolumeRow{openVolume(1, 1, "a", "b")}, 2, []replica{{"a", 1, true, true}, {"b", 1, true, true}}},
		{"tier 2 open: only the primary is known", []*messages.VolumeRow{openVolume(1, 2, "a", "b")}, 1, []replica{{"a", 1, true, true}, {"b", 1, false, false}}},
		{"tier 3 open: there, not fsynced", []*messages.VolumeRow{openVolume(1, 3, "a")}, 0, []replica{{"a", 1, false, true}}},
		{"sealed: what is verified", []*messages.VolumeRow{sealed(2, true, false)}, 1, []replica{{"a", 1, true, true}, {"b", 1, false, false}}},
		{"two volumes on different workers", []*messages.VolumeRow{openVolume(1, 1, "a", "b"), openVolume(2, 1, "a")}, 1,
			[]replica{{"a", 2, true, true}, {"b", 1, false, false}}},
		{"no volume: an empty file", nil, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			copies, durable := replicas(c.volumes)
			assert.Equal(t, c.copies, copies)
			assert.Equal(t, c.durable, durable)
		})
	}
	assert.Equal(t, []uint32{4, 3, 1}, []uint32{copiesWanted(1, 3), copiesWanted(2, 3), copiesWanted(3, 3)})
}

func TestDelete_RemovesOnceAndUnderItsCondition(t *testing.T) {
	w := inMemory(t, Config{})
	tag := w.put("/a", []byte("1")).header.Get("ETag")
	wantError(t, w.do("DELETE", fileURL+"/a", nil, `If-Match: "77-00000000"`), 412, "precondition_failed")
	wantError(t, w.do("DELETE", fileURL+"/a", nil, `If-Match: "foreign"`), 412, "precondition_failed")
	wantError(t, w.do("DELETE", fileURL+"/a", nil, "If-Match: W/"+tag), 412, "precondition_failed")
	wantError(t, w.do("DELETE", fileURL+"/a", nil, `If-None-Match: *`), 400, "invalid_argument")
	r := w.do("DELETE", fileURL+"/a", nil, `If-Match: "x", `+tag)
	assert.Equal(t, 204, r.status)
	assert.Empty(t, r.body)
	wantError(t, w.do("DELETE", fileURL+"/a", nil), 404, "not_found")
}

func TestPut_JudgesConditionsInTheGateway(t *testing.T) {
	w := inMemory(t, Config{})
	put := func(headers ...string) reply {
		return w.do("PUT", fileURL+"/a", strings.NewReader("x"), headers...)
	}
	wantError(t, put("If-Match: *"), 412, "precondition_failed")
	first := put("If-None-Match: *")
	require.Equal(t, 201, first.status)
	wantError(t, put("If-None-Match: *"), 412, "precondition_failed")
	wantError(t, put(`If-Match: "foreign"`), 412, "precondition_failed")
	second := put("If-Match: "+first.header.Get("ETag"), `If-Match: "other"`)
	require.Equal(t, 200, second.status)
	wantError(t, put("If-Match: "+first.header.Get("ETag")), 412, "precondition_failed")
	assert.Equal(t, 200, put("If-Match: *").status)
	for _, bad := range []string{`If-None-Match: "x"`, "If-Match: x", `If-Match: "x" "y"`, `If-Match: "x`, "If-Match: ", "If-Match: ,,",
		`If-Match: w/"x"`, `If-Match: *, "x"`, "If-Unmodified-Since: Wed, 04 Mar 2026 05:06:07 GMT", "If-Modified-Since: x"} {
		wantError(t, put(bad), 400, "invalid_argument")
	}
	wantError(t, put("If-Match: *", "If-None-Match: *"), 400, "invalid_argument")
}

func TestGet_JudgesConditionsInTheOrderOfRFC9110(t *testing.T) {
	w := inMemory(t, Config{})
	tag := w.put("/a", []byte("hello")).header.Get("ETag")
	stamp := w.gw.now.Truncate(time.Second)
	at := func(d time.Duration) string { return stamp.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{nil, 200},
		{[]string{"If-None-Match: " + tag}, 304},
		{[]string{"If-None-Match: W/" + tag}, 304},
		{[]string{`If-None-Match: "x" ,` + tag}, 304},
		{[]string{`If-None-Match: "x"`, "If-None-Match: " + tag}, 304},
		{[]string{"If-None-Match: *"}, 304},
		{[]string{`If-None-Match: "1-00000000"`}, 200},
		{[]string{"If-Match: " + tag}, 200},
		{[]string{"If-Match: *"}, 200},
		{[]string{"If-Match: W/" + tag}, 412},
		{[]string{`If-Match: "foreign"`}, 412},
		{[]string{"If-Modified-Since: " + at(0)}, 304},
		{[]string{"If-Modified-Since: " + at(-time.Second)}, 200},
		{[]string{"If-Modified-Since: " + at(0), `If-None-Match: "x"`}, 200}, // the tag decides
		{[]string{"If-Unmodified-Since: " + at(0)}, 200},
		{[]string{"If-Unmodified-Since: " + at(-time.Second)}, 412},
		{[]string{"If-Unmodified-Since: " + at(-time.Second), "If-Match: " + tag}, 200}, // the tag decides
		{[]string{"If-Match: " + tag, "If-None-Match: " + tag}, 304},
		{[]string{"If-Modified-Since: yesterday"}, 400},
		{[]string{"If-None-Match: nonsense"}, 400},
		{[]string{"If-Range: nonsense"}, 400},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" "+strings.Join(c.headers, " and "), func(t *testing.T) {
				r := w.do(method, fileURL+"/a", nil, c.headers...)
				assert.Equal(t, c.status, r.status)
				if c.status == 304 {
					assert.Equal(t, tag, r.header.Get("ETag"))
					assert.Empty(t, r.body)
				}
			})
		}
	}
}

func TestMoveAndCopy_AnswerWithWhatBecame(t *testing.T) {
	w := inMemory(t, Config{})
	post := func(what, body string) reply {
		return w.do("POST", "http://tiercel/api/v1/storage/"+what, strings.NewReader(body))
	}
	w.put("/a", []byte("a"))
	w.put("/b", []byte("b"))
	e := wantError(t, post("move", `{"from":"/a","to":"/b"}`), 409, "conflict")
	assert.Equal(t, map[string]string{"path": "/b"}, e.Error.Details)
	r := post("move", `{"from":"/a","to":"/b","overwrite":true}`)
	assert.Equal(t, 200, r.status)
	assert.JSONEq(t, `{"from":"/a","path":"/b","version":3,"modified_at":"2026-03-04T05:06:07.089Z"}`, string(r.body))
	assert.Equal(t, "a", string(w.get("/b").body))
	wantError(t, w.get("/a"), 404, "not_found")

	r = post("copy", `{"from":"/b","to":"/c"}`)
	assert.Equal(t, 201, r.status)
	var got struct{ Path string }
	require.NoError(t, json.Unmarshal(r.body, &got))
	assert.Equal(t, "/c", got.Path)
	assert.Equal(t, 200, post("copy", `{"from":"/b","to":"/c","overwrite":true}`).status)
	wantError(t, post("copy", `{"from":"/gone","to":"/d"}`), 404, "not_found")
}

func TestRetier_PassesOnePathOrOnePrefix(t *testing.T) {
	w := inMemory(t, Config{})
	var got *model.RetierRequest
	w.gw.onRetier = func(req *model.RetierRequest) (*model.RetierResult, error) {
		got = req
		return &model.RetierResult{Moved: 2, Unchanged: 1, Bytes: 30, Next: "/a/z",
			Failed: []model.RetierFailure{{Path: "/a/x", Err: model.Errorf(model.CodeClusterFull, "retier", "no room")}}}, nil
	}
	post := func(body string) reply {
		return w.do("POST", "http://tiercel/api/v1/storage/retier", strings.NewReader(body), "X-Tenant-ID: acme")
	}
	r := post(`{"prefix":"/a/","tier":3}`)
	assert.Equal(t, &model.RetierRequest{Tenant: "acme", Prefix: "/a/", Tier: 3}, got)
	assert.JSONEq(t, `{"moved":2,"unchanged":1,"moved_bytes":30,"failed":[{"path":"/a/x","code":"cluster_full","message":"no room"}],"next":"/a/z"}`, string(r.body))
	require.Equal(t, 200, post(`{"path":"/a/b","tier":1}`).status)
	assert.Equal(t, &model.RetierRequest{Tenant: "acme", Path: "/a/b", Tier: 1}, got)
	for _, bad := range []string{`{"tier":1}`, `{"path":"/a","prefix":"/a","tier":1}`, `{"path":"/a"}`, `{"path":"/a","tier":4}`, `{"path":"/a","tier":"1"}`,
		`{"path":"/a/","tier":1}`, `{"prefix":"","tier":1}`, `{"prefix":"a","tier":1}`, `{"prefix":7,"tier":1}`, `{"path":"/a","tier":1.0}`} {
		wantError(t, post(bad), 400, "invalid_argument")
	}
}
