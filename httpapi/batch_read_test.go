package httpapi

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// entryOf is an entry of an archive that was read.
type entryOf struct{ name, content, err string }

func readTar(t *testing.T, body []byte) (out []entryOf) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(body))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		out = append(out, entryOf{h.Name, string(content), h.PAXRecords[paxError]})
	}
}

func (w *world) readBatch(body string, headers ...string) reply {
	w.t.Helper()
	return w.do("POST", batchURL+"/read", strings.NewReader(body), headers...)
}

func TestBatchRead_FilesComeInTheOrderAskedFor(t *testing.T) {
	w := inMemory(t, Config{})
	large := string(pattern(3<<20 + 17))
	w.put("/models/a", []byte("one"))
	w.put("/models/large", []byte(large))
	w.put("/models/empty", nil)
	long := "/" + strings.Repeat("ä", 400)
	w.put("/l%C3%A4ng", []byte("umlaut"))
	r := w.readBatch(`{"paths":["/models/large","/models/none","/models/a","/läng","/models/empty","` + long + `","/models/a"]}`)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.Equal(t, typeTar, r.header.Get("Content-Type"))
	assert.Equal(t, []entryOf{{"models/large", large, ""}, {"models/none", "", "not_found"}, {"models/a", "one", ""}, {"läng", "umlaut", ""},
		{"models/empty", "", ""}, {long[1:], "", "not_found"}, {"models/a", "one", ""}}, readTar(t, r.body))
	assert.Equal(t, w.server.cfg.BatchMemory, w.server.batches.free.Load())
}

func TestBatchRead_KeepsTenantsApart(t *testing.T) {
	w := inMemory(t, Config{})
	w.put("/a", []byte("of default"))
	w.put("/b", []byte("of acme"), "X-Tenant-ID: acme")
	assert.Equal(t, []entryOf{{"a", "", "not_found"}, {"b", "of acme", ""}}, readTar(t, w.readBatch(`{"paths":["/a","/b"]}`, "X-Tenant-ID: acme").body))
	assert.Equal(t, []entryOf{{"a", "of default", ""}, {"b", "", "not_found"}}, readTar(t, w.readBatch(`{"paths":["/a","/b"]}`).body))
}

func TestBatchRead_WhatIsReadCanBeStoredAgain(t *testing.T) {
	w := inMemory(t, Config{})
	for i := range 300 { // more than are looked up at once
		w.put(fmt.Sprintf("/models/%d", i), pattern(i))
	}
	var paths []string
	for i := range 300 {
		paths = append(paths, fmt.Sprintf(`"/models/%d"`, i))
	}
	archive := w.readBatch(`{"paths":[` + strings.Join(paths, ",") + `]}`).body
	b := w.postBatch("?prefix=/again", typeTar, archive)
	require.Equal(t, 300, b.Stored)
	assert.Equal(t, pattern(299), w.get("/again/models/299").body)
}

func TestBatchRead_OneThatFailsIsReportedUntilItHasBegunAndCutsAfterThat(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.extentBytes = 128 << 10
	w.put("/a", []byte("one"))
	w.put("/b", pattern(300<<10))
	w.gw.onRead = func(e *messages.Extent, _, _ uint64) error {
		if e.BodyBytes == 3 || e.Offset > 0 {
			return model.Errorf(model.CodeCorrupt, "read", "the piece is lost")
		}
		return nil
	}
	assert.Equal(t, []entryOf{{"a", "", "corrupt"}}, readTar(t, w.readBatch(`{"paths":["/a"]}`).body))
	r := w.readBatch(`{"paths":["/a","/b"]}`)
	assert.Error(t, r.err, "cut, never made to look whole")
	assert.Equal(t, 1.0, valueOf(w.server.met.cutResponses))
}

func TestBatchRead_WithoutAMasterSaysSo(t *testing.T) {
	w := inMemory(t, Config{})
	w.put("/a", []byte("one"))
	w.gw.unchecked = true
	r := w.readBatch(`{"paths":["/a"]}`)
	assert.Equal(t, "unchecked", r.header.Get("X-Storage-Consistency"))
	w.gw.onStat = func(string) error { return model.Errorf(model.CodeNoMaster, "stat", "none") }
	wantError(t, w.readBatch(`{"paths":["/a","/b"]}`), 503, "no_master")
}

func TestBatchRead_RefusesWhatIsNoList(t *testing.T) {
	w := inMemory(t, Config{})
	for _, body := range []string{"", "{", "[]", `{"paths":[]}`, `{"paths":"/a"}`, `{"paths":[1]}`, `{"paths":["a"]}`, `{"paths":["/a/../b"]}`, `{"paths":["/a"],"x":1}`,
		`{"paths":["/a"]}{}`, `{"path":["/a"]}`, "{\"paths\":[\"/\xff\"]}", `{"paths":["/\ud800"]}`, `{"paths":["/a"`, `{"paths":[["/a"]]}`, `{"paths":[null]}`} {
		wantError(t, w.readBatch(body), 400, "invalid_argument")
	}
	wantError(t, w.readBatch(`{"paths":["/a`+strings.Repeat(`","/a`, model.MaxBatchReadPaths)+`"]}`), 413, "too_large")
	wantError(t, w.raw(fmt.Sprintf("POST /api/v1/storage/batch/read HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n", maxPathsBytes+1)+strings.Repeat(" ", 9<<10)), 413, "too_large")
	wantError(t, w.raw("POST /api/v1/storage/batch/read HTTP/1.0\r\nContent-Length: 16\r\n\r\n{\"paths\":[\"/a\"]}"), 400, "invalid_argument")
	assert.Equal(t, w.server.cfg.BatchMemory, w.server.batches.free.Load())
}
