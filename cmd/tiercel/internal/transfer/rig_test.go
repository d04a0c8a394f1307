package transfer

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func newClient(t *testing.T, s *clienttest.Server) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: s.URL, BackOff: time.Millisecond, Timeout: 20 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// write makes files of the given contents below a new directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, os.Mkdir(dir, 0o777))
	for name, content := range files {
		full := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o777))
		require.NoError(t, os.WriteFile(full, []byte(content), 0o666))
	}
	return dir
}

// read returns the regular files below dir.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		files[rel] = string(content)
		return err
	}))
	return files
}

// counting checks that what was announced and what moved agree in the end.
type counting struct{ files, done, found, moved atomic.Int64 }

func (c *counting) Found(files, bytes int64) { c.files.Add(files); c.found.Add(bytes) }

func (c *counting) Moved(bytes int64) { c.moved.Add(bytes) }

func (c *counting) Done() { c.done.Add(1) }

func put(t *testing.T, s *clienttest.Server, dst string, sources ...string) Summary {
	t.Helper()
	sum, err := Put(t.Context(), newClient(t, s), sources, dst, PutOptions{Jobs: 4, Progress: Silent{}})
	require.NoError(t, err)
	return sum
}

func get(t *testing.T, s *clienttest.Server, source, dst string) Summary {
	t.Helper()
	sum, err := Get(t.Context(), newClient(t, s), source, dst, GetOptions{Jobs: 4, Progress: Silent{}, Fsync: true})
	require.NoError(t, err)
	return sum
}

func tree() map[string]string {
	files := map[string]string{
		"empty": "", "a b/ü%2F#?.txt": "odd name", "deep/er/still/x": "x", ".hidden": "h", "-": "dash",
		"large.bin": strings.Repeat("large", 500_000),
	}
	for i := range 200 {
		files[fmt.Sprintf("many/%03d", i)] = strings.Repeat("z", i)
	}
	return files
}

// faulty injects a fault into about every third request, and never twice in a row.
func faulty(s *clienttest.Server) {
	n := 0
	s.Fault = func(r *http.Request) clienttest.Fault {
		n++
		if n%3 != 0 || r.Method == http.MethodHead {
			return clienttest.Fault{}
		}
		return []clienttest.Fault{
			{Status: 503, Code: "no_master"}, {ResetFirst: true}, {Status: 429, Code: "overloaded"},
			{ResetAfter: r.Method == http.MethodPut}, {CutAfter: 10},
		}[n/3%5]
	}
}

func keys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
