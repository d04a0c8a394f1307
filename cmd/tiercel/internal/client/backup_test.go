package client

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

// memory is a sink.
type memory struct {
	bytes.Buffer
	restarts int
}

func (m *memory) Restart() error {
	m.restarts++
	m.Reset()
	return nil
}

func TestBackup_BeginsAnewWhenItIsCutOff(t *testing.T) {
	content := bytes.Repeat([]byte("catalog "), 100_000)
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		assert.Equal(t, "/api/v1/storage/cluster/backup", r.URL.Path)
		w.Header().Set("X-Backup-Index", strconv.Itoa(70+asked))
		w.Header().Set("X-Backup-Generation", "2")
		w.Header().Set("X-Cluster-ID", "c-1")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		part := content
		if asked < 3 {
			part = content[:len(content)/asked/2]
		}
		_, _ = w.Write(part)
	}))
	defer server.Close()
	c, err := New(Options{Server: server.URL, BackOff: time.Millisecond})
	require.NoError(t, err)
	var sink memory
	total := int64(0)
	made, err := c.Backup(t.Context(), &sink, func(n int64) { total += n })
	require.NoError(t, err)
	assert.Equal(t, Backup{Index: 73, Generation: 2, ClusterID: "c-1", Bytes: int64(len(content))}, made, "the state of the last try")
	assert.Equal(t, content, sink.Bytes())
	assert.Equal(t, 2, sink.restarts)
	assert.Equal(t, int64(len(content)), total)
}

func TestBackup_RefusesWhatIsNoBackup(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	defer server.Close()
	c, err := New(Options{Server: server.URL, BackOff: time.Millisecond})
	require.NoError(t, err)
	_, err = c.Backup(t.Context(), &memory{}, func(int64) {})
	assert.Equal(t, model.CodeInternal, model.CodeOf(err))
}
