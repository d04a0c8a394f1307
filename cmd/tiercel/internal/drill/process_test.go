package drill

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

var (
	buildOnce sync.Once
	binary    string
	buildErr  error
)

// TestMain takes away what build has made: it is large, and each run makes one.
func TestMain(m *testing.M) {
	status := m.Run()
	if binary != "" {
		_ = os.RemoveAll(filepath.Dir(binary)) // it lies in the system's temporary directory
	}
	os.Exit(status)
}

// build compiles the server once for all drills.
func build(t *testing.T) string {
	t.Helper()
	buildOnce.Do(func() {
		dir, err := os.MkdirTemp("", "tiercel-drill")
		if err != nil {
			buildErr = err
			return
		}
		binary = filepath.Join(dir, "tiercel")
		out, err := exec.Command("go", "build", "-o", binary, "tiercel/cmd/tiercel").CombinedOutput()
		if err != nil {
			buildErr = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, buildErr)
	return binary
}

var (
	licenseOnce sync.Once
	licenseErr  error
)

// enterprise is a file with a development licence, made once for all drills.
func enterprise(t *testing.T) string {
	t.Helper()
	file := filepath.Join(filepath.Dir(build(t)), "license.txt")
	licenseOnce.Do(func() { licenseErr = procs.IssueLicense(binary, "enterprise", file) })
	require.NoError(t, licenseErr)
	return file
}

// server is one running process.
type server struct {
	cmd  *exec.Cmd
	base string // URL of the API
	logs *said
}

// said is what a process writes while it runs.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String is what was written so far.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

var readyLine = regexp.MustCompile(`^ready http=(\S+) rpc=(\S+) node=(\S+)$`)

// start runs a server on dir and waits for its ready line.
func start(t *testing.T, dir string, more ...string) *server {
	t.Helper()
	// A licence that more may replace: tiers are asked for by name.
	return startUnlicensed(t, dir, append([]string{"--license", enterprise(t)}, more...)...)
}

// startUnlicensed is start at the level free.
func startUnlicensed(t *testing.T, dir string, more ...string) *server {
	t.Helper()
	s := &server{logs: &said{}}
	args := append([]string{"server", "--data-dir", dir, "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0"}, more...)
	s.cmd = exec.Command(build(t), args...)
	s.cmd.Stderr = s.logs
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() { s.kill() })
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- strings.TrimSpace(text)
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case text := <-line:
		m := readyLine.FindStringSubmatch(text)
		if m == nil {
			_ = s.cmd.Wait()
			require.Fail(t, "no ready line", "%q; logs: %s", text, s.logs.String())
		}
		s.base = "http://" + m[1] + "/api/v1/storage"
	case <-time.After(procs.Patience):
		s.kill()
		require.Fail(t, "it does not get ready", "%s", s.logs.String())
	}
	return s
}

// kill is kill -9.
func (s *server) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// do sends one request; a transport error means that the outcome is not known.
func (s *server) do(client *http.Client, method, path string, body []byte) (status int, content []byte, err error) {
	req, err := http.NewRequest(method, s.base+path, strings.NewReader(string(body)))
	if err != nil {
		return 0, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	content, err = io.ReadAll(resp.Body)
	return resp.StatusCode, content, err
}
