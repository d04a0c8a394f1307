package httpapi

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"

	"tiercel/cluster/model"
	"tiercel/messages"
)

const batchURL = "http://tiercel/api/v1/storage/batch"

// batchBodyOf is the JSON answer to a batch.
type batchBodyOf struct {
	Items []struct {
		Index   int    `json:"index"`
		Path    string `json:"path"`
		Status  int    `json:"status"`
		Receipt *struct {
			Path string `json:"path"`
			Tier struct {
				Asked int `json:"asked"`
			} `json:"tier"`
		} `json:"receipt"`
		Error *struct {
			Code      string `json:"code"`
			Message   string `json:"message"`
			RequestID string `json:"request_id"`
		} `json:"error"`
	} `json:"items"`
	Stored int `json:"stored"`
	Failed int `json:"failed"`
}

// outcomes are "path status" or "path code" of each item.
func (b *batchBodyOf) outcomes(t *testing.T) (out []string) {
	for i, it := range b.Items {
		assert.Equal(t, i, it.Index)
		assert.NotEqual(t, it.Error == nil, it.Receipt == nil, "an item has a receipt or an error")
		word := fmt.Sprint(it.Status)
		if it.Error != nil {
			word = it.Error.Code
			assert.Equal(t, statuses[model.Code(word)].status, it.Status)
			assert.NotEmpty(t, it.Error.RequestID)
		}
		out = append(out, it.Path+" "+word)
	}
	return out
}

// postBatch sends a batch that is read to its end.
func (w *world) postBatch(query, format string, body []byte, headers ...string) batchBodyOf {
	w.t.Helper()
	r := w.do("POST", batchURL+query, bytes.NewReader(body), append(headers, "Content-Type: "+format)...)
	require.Equal(w.t, http.StatusOK, r.status, "%s", r.body)
	return decodeBatch(w.t, r)
}

func decodeBatch(t *testing.T, r reply) (b batchBodyOf) {
	t.Helper()
	require.NoError(t, r.err)
	require.NoError(t, json.Unmarshal(r.body, &b), "%s", r.body)
	assert.Equal(t, len(b.Items), b.Stored+b.Failed)
	return b
}

// tarOf makes an archive; a header without a type is a regular file.
func tarOf(t testing.TB, entries ...any) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(entries); i++ {
		h, ok := entries[i].(*tar.Header)
		if !ok {
			h = &tar.Header{Name: entries[i].(string)}
		}
		var content string
		if h.Typeflag == 0 {
			i++
			content = entries[i].(string)
			h.Typeflag, h.Size, h.Mode = tar.TypeReg, int64(len(content)), 0o600
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := io.WriteString(w, content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func lineOf(path, content string, more ...string) string {
	return fmt.Sprintf("{\"path\":%q,\"data_base64\":%q%s}\n", path, base64.StdEncoding.EncodeToString([]byte(content)), strings.Join(more, ""))
}

func recordsOf(t testing.TB, records ...*messages.BatchRecord) []byte {
	var out bytes.Buffer
	for _, r := range records {
		_, err := protodelim.MarshalTo(&out, r)
		require.NoError(t, err)
	}
	return out.Bytes()
}

func TestBatch_EveryFormatStoresWhatIsInIt(t *testing.T) {
	large := string(pattern(100_000))
	bodies := map[string][]byte{
		typeTar:    tarOf(t, "a", "one", "b/c", large, "./empty", "", &tar.Header{Name: "t", PAXRecords: map[string]string{paxTier: "3"}}, "three"),
		typeNDJSON: []byte(lineOf("a", "one") + "\n" + lineOf("/b/c", large) + lineOf("empty", "") + strings.TrimSpace(lineOf("t", "three", `,"tier":3`))),
		typeRecords: recordsOf(t, &messages.BatchRecord{Path: "a", Data: []byte("one")}, &messages.BatchRecord{Path: "/b/c", Data: []byte(large)},
			&messages.BatchRecord{Path: "empty"}, &messages.BatchRecord{Path: "t", Data: []byte("three"), Tier: 3}),
	}
	for format, body := range bodies {
		for _, chunked := range []bool{false, true} {
			w := inMemory(t, Config{})
			var from io.Reader = bytes.NewReader(body)
			if chunked {
				from = io.MultiReader(from)
			}
			r := w.do("POST", batchURL+"?prefix=/vectors/x/&tier=2", from, "Content-Type: "+format+"; charset=utf-8", "X-Tenant-ID: acme")
			require.Equal(t, 200, r.status, "%s", r.body)
			b := decodeBatch(t, r)
			assert.Equal(t, []string{"/vectors/x/a 201", "/vectors/x/b/c 201", "/vectors/x/empty 201", "/vectors/x/t 201"}, b.outcomes(t), format)
			for i, tier := range []int{2, 2, 2, 3} {
				assert.Equal(t, tier, b.Items[i].Receipt.Tier.Asked, format)
			}
			for path, content := range map[string]string{"/a": "one", "/b/c": large, "/empty": "", "/t": "three"} {
				assert.Equal(t, content, string(w.get("/vectors/x"+path, "X-Tenant-ID: acme").body), format)
			}
			assert.Equal(t, 404, w.get("/vectors/x/a").status, "another tenant")
			assert.Equal(t, w.server.cfg.BatchMemory, w.server.batches.free.Load(), "all memory came back")
		}
	}
}

func TestBatch_EqualPathsTakeEffectInOrder(t *testing.T) {
	w := inMemory(t, Config{})
	b := w.postBatch("", typeNDJSON, []byte(lineOf("/a", "1")+lineOf("a", "2")+lineOf("/a", "3")))
	assert.Equal(t, []string{"/a 201", "/a 200", "/a 200"}, b.outcomes(t))
	assert.Equal(t, "3", string(w.get("/a").body))
}

func TestBatch_ABadItemFailsAlone(t *testing.T) {
	big := strings.Repeat("x", model.MaxExtentBytes+1)
	refused := &messages.BatchRecord{Path: "/new", Data: []byte("x")}
	refused.ProtoReflect().SetUnknown([]byte{0x78, 1})
	for _, c := range []struct {
		name, format string
		body         []byte
		want         []string
	}{
		{"paths", typeNDJSON, []byte(lineOf("/a", "1") + lineOf("../etc/passwd", "x") + lineOf("/b//c", "x") + lineOf("", "x") + lineOf("/"+strings.Repeat("p", 1024), "x") + lineOf("/z", "2")),
			[]string{"/p/a 201", "../etc/passwd invalid_argument", "/b//c invalid_argument", " invalid_argument", clip("/"+strings.Repeat("p", 1024)) + " invalid_argument", "/p/z 201"}},
		{"lines", typeNDJSON, []byte("{\n[]\nnull\n" + lineOf("/a", "1") + "{\"path\":\"/b\",\"data_base64\":\"=\"}\n{\"path\":\"/c\"}\n{\"path\":\"/d\",\"data_base64\":\"\",\"tier\":4}\n{\"path\":\"/e\",\"data\":\"\"}\n{\"path\":\"/f\",\"path\":\"/g\",\"data_base64\":\"\"}\n\xff\n{\"path\":1}"),
			[]string{" invalid_argument", " invalid_argument", " invalid_argument", "/p/a 201", "/b invalid_argument", "/c invalid_argument", "/d invalid_argument", " invalid_argument", " invalid_argument", " invalid_argument", " invalid_argument"}},
		{"a long line", typeNDJSON, []byte(lineOf("/a", "1") + lineOf("/big", big+big) + lineOf("/z", "2")),
			[]string{"/p/a 201", " too_large", "/p/z 201"}},
		{"a large item", typeNDJSON, []byte(lineOf("/big", big) + lineOf("/z", "2")), []string{"/big too_large", "/p/z 201"}},
		{"records", typeRecords, slicesJoin([]byte{3, 1, 2, 3}, recordsOf(t, &messages.BatchRecord{Path: "/t", Tier: 4}, refused, &messages.BatchRecord{Path: "/z", Data: []byte("2")})),
			[]string{" invalid_argument", "/t invalid_argument", "/new invalid_argument", "/p/z 201"}},
		{"an empty record", typeRecords, []byte{0}, []string{" invalid_argument"}},
		{"large records", typeRecords, recordsOf(t, &messages.BatchRecord{Path: "/big", Data: []byte(big)}, &messages.BatchRecord{Path: "/big", Data: []byte(big + big)}, &messages.BatchRecord{Path: "/z"}),
			[]string{"/big too_large", " too_large", "/p/z 201"}},
		{"what is no file", typeTar, tarOf(t, "a", "1", &tar.Header{Name: "d/", Typeflag: tar.TypeDir}, &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}},
			&tar.Header{Name: "l", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}, &tar.Header{Name: "h", Linkname: "a", Typeflag: tar.TypeLink},
			&tar.Header{Name: "c", Typeflag: tar.TypeChar}, &tar.Header{Name: "f", Typeflag: tar.TypeFifo}, "../../etc/passwd", "x", "/abs", "2", "t", "x",
			&tar.Header{Name: "tier", PAXRecords: map[string]string{paxTier: "7"}}, "x", "z", "3"),
			[]string{"/p/a 201", "l invalid_argument", "h invalid_argument", "c invalid_argument", "f invalid_argument", "../../etc/passwd invalid_argument", "/p/abs 201", "/p/t 201", "tier invalid_argument", "/p/z 201"}},
	} {
		w := inMemory(t, Config{})
		assert.Equal(t, c.want, ptr(w.postBatch("?prefix=/p", c.format, c.body)).outcomes(t), c.name)
	}
}

func ptr[T any](v T) *T { return &v }

func slicesJoin(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestBatch_RefusalsOfTheGatewayAreOfTheItem(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.onItem = func(it *model.BatchItem) error {
		switch it.Path {
		case "/quota":
			return model.Errorf(model.CodeQuotaExceeded, "begin", "full").With("limit_bytes", "5")
		case "/licence":
			return model.Errorf(model.CodeLicenseDenied, "put", "not licensed")
		case "/broken":
			return fmt.Errorf("an error without a code")
		}
		return nil
	}
	r := w.do("POST", batchURL, strings.NewReader(lineOf("/quota", "")+lineOf("/licence", "")+lineOf("/broken", "")+lineOf("/a", "")), "Content-Type: "+typeNDJSON)
	b := decodeBatch(t, r)
	assert.Equal(t, []string{"/quota quota_exceeded", "/licence license_denied", "/broken internal", "/a 201"}, b.outcomes(t))
	assert.Equal(t, 507, b.Items[0].Status)
	assert.Contains(t, string(r.body), `"limit_bytes":"5"`)
	assert.Equal(t, 1, b.Stored)
	assert.NotContains(t, string(r.body), "without a code", "what is unexpected is not told")
}

func TestBatch_AMalformedPlaceIsNamedAndWhatCameBeforeIsStored(t *testing.T) {
	two := tarOf(t, "a", "1", "b", string(pattern(5000)))
	record := recordsOf(t, &messages.BatchRecord{Path: "/a", Data: []byte("1")})
	for _, c := range []struct {
		name, format string
		body         []byte
		stored       int
		says         string
	}{
		{"a cut archive", typeTar, two[:3*512+1000], 1, "cut"},
		{"an archive without its end", typeTar, two[:len(two)-1024], 2, "end marker"},
		{"an archive that is none", typeTar, bytes.Repeat([]byte("garbage "), 200), 0, "cannot be read"},
		{"nothing", typeTar, nil, 0, "end marker"},
		{"two archives", typeTar, slicesJoin(two, two), 2, "behind the end"},
		{"a checksum that is wrong", typeTar, slicesJoin(two[:1024], []byte("x"), two[1025:]), 1, "cannot be read"},
		{"a cut record", typeRecords, slicesJoin(record, record[:3]), 1, "of a record"},
		{"a cut length", typeRecords, slicesJoin(record, []byte{0x80}), 1, "length"},
		{"a length without end", typeRecords, slicesJoin(record, bytes.Repeat([]byte{0xff}, 11)), 1, "length"},
		{"an absurd length", typeRecords, slicesJoin(record, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}), 1, "more than a batch"},
		{"a skipped record that is cut", typeRecords, slicesJoin(record, []byte{0xff, 0xff, 0xff, 0x7f}, []byte("x")), 1, "within a record"},
	} {
		w := inMemory(t, Config{})
		r := w.do("POST", batchURL, bytes.NewReader(c.body), "Content-Type: "+c.format)
		e := wantError(t, r, 400, "invalid_argument")
		if c.says != "cut" {
			assert.Contains(t, e.Error.Message, c.says, c.name)
		}
		assert.Equal(t, fmt.Sprint(c.stored), e.Error.Details["index"], c.name)
		assert.Equal(t, fmt.Sprint(c.stored), e.Error.Details["stored"], c.name)
		assert.NotEmpty(t, e.Error.Details["byte"], c.name)
		if c.stored > 0 {
			b := decodeBatch(t, r)
			assert.Equal(t, c.stored, b.Stored, c.name)
			assert.Equal(t, "1", string(w.get("/a").body), c.name)
		}
		assert.Equal(t, w.server.cfg.BatchMemory, w.server.batches.free.Load(), c.name)
	}
}

func TestBatch_IsRefusedBeforeItsBody(t *testing.T) {
	w := inMemory(t, Config{})
	for query, headers := range map[string][]string{
		"?prefix=a":     {"Content-Type: " + typeTar},
		"?prefix=/a/..": {"Content-Type: " + typeTar},
		"?tier=4":       {"Content-Type: " + typeTar},
		"?tier=1":       {"Content-Type: " + typeTar, "X-Storage-Tier: 2"},
		"?teir=1":       {"Content-Type: " + typeTar},
		"?a=1":          {"Content-Type: application/json"},
		"":              nil,
		"?":             {"Content-Type: " + typeTar, "If-Match: *"},
		"?&":            {"Content-Type: " + typeTar, "Idempotency-Key: x"},
		"?&&":           {"Content-Type: " + typeTar, "X-Meta-A: x"},
		"?&&&":          {"Content-Type: " + typeTar, "Content-Encoding: gzip"},
		"?&&&&":         {"Content-Type: " + typeTar, "X-Tenant-ID: _tiercel"},
	} {
		wantError(t, w.do("POST", batchURL+query, strings.NewReader("x"), headers...), 400, "invalid_argument")
	}
	r := w.raw("POST /api/v1/storage/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nContent-Length: 1073741825\r\n\r\n" + strings.Repeat("x", 9<<10))
	wantError(t, r, 413, "too_large")
	assert.Empty(t, w.gw.puts)
}

func TestBatch_HasLimits(t *testing.T) {
	t.Run("items", func(t *testing.T) {
		w := inMemory(t, Config{})
		w.gw.onItem = func(*model.BatchItem) error { return model.Errorf(model.CodeConflict, "x", "x") }
		r := w.do("POST", batchURL, strings.NewReader(strings.Repeat("{}\n", model.MaxBatchItems+1)), "Content-Type: "+typeNDJSON)
		e := wantError(t, r, 413, "too_large")
		assert.Equal(t, fmt.Sprint(model.MaxBatchItems), e.Error.Details["index"])
		assert.Equal(t, model.MaxBatchItems, decodeBatch(t, r).Failed)
	})
	t.Run("memory", func(t *testing.T) {
		w := inMemory(t, Config{BatchMemory: 64 << 10})
		r := w.do("POST", batchURL, strings.NewReader(strings.Repeat(lineOf("/a", "x"), 100)), "Content-Type: "+typeNDJSON)
		e := wantError(t, r, 429, "overloaded")
		assert.NotEmpty(t, r.header.Get("Retry-After"))
		assert.Equal(t, e.Error.Details["index"], fmt.Sprint(decodeBatch(t, r).Stored))
		assert.Equal(t, int64(64<<10), w.server.batches.free.Load())
	})
}

func TestBatch_ABodyThatDoesNotArriveIsToldWithWhatDid(t *testing.T) {
	first := lineOf("/a", string(pattern(20_000))) // the server below waits for the first 8 KiB
	w := overTCP(t, Config{})
	c, err := w.dial()
	require.NoError(t, err)
	_, err = fmt.Fprintf(c, "POST /api/v1/storage/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s{\"path\"", len(first)+100, first)
	require.NoError(t, err)
	require.NoError(t, c.(interface{ CloseWrite() error }).CloseWrite())
	all, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Contains(t, string(all), " 400 ")
	assert.Contains(t, string(all), `"path":"/a","status":201`)
	assert.Contains(t, string(all), `"index":"1"`)
	assert.NotContains(t, string(all), "nothing was stored")
	assert.Equal(t, pattern(20_000), w.get("/a").body)
}
