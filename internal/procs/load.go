package procs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Load is a number of writers, each with paths of its own. A request that meets a
// broken connection is repeated on another node under the same Idempotency-Key, as
// a client library does; any refusal is a failure.
type Load struct {
	cluster *Cluster
	nodes   []*Node // that are asked
	seed    uint64
	others  uint64 // loads that were started beside it
	writers []*writer
	stop    context.CancelFunc
	wg      sync.WaitGroup

	Acknowledged atomic.Int64
	mu           sync.Mutex
	mark, first  time.Time // of FirstAck: requests sent after mark; the first one's answer
	failures     []string
	slowest      time.Duration
	slowestAt    string
	versions     *versions
}

// versions are those of acknowledged puts: each is one place in the log.
type versions struct {
	mu    sync.Mutex
	given map[uint64]string // to which key
}

// writer changes its own paths, one after the other.
type writer struct {
	load   *Load
	number int
	random *rand.Rand
	client *http.Client
	files  []*file
	puts   int
}

// file is what a writer knows of one of its paths.
type file struct {
	path    string
	content []byte // nil: absent
}

// loadPrefixes are of tiers 1, 2, 1 and 3: what is lost of tier 3 with a killed
// process is nothing, for the page cache survives it.
var loadPrefixes = [...]string{"/models", "/sessions", "/datasets", "/cache"}

// StartLoad starts n writers that use every tier.
func StartLoad(c *Cluster, n int, seed uint64) *Load {
	return StartLoadIn(c, n, seed, loadPrefixes[:]...)
}

// StartLoadIn starts n writers below the prefixes.
func StartLoadIn(c *Cluster, n int, seed uint64, prefixes ...string) *Load {
	l := &Load{cluster: c, nodes: c.Nodes, seed: seed, versions: &versions{given: make(map[uint64]string)}}
	l.begin(n, prefixes)
	return l
}

// Through starts n more writers, with paths of their own, that ask only these nodes.
// What both loads were given must fit together.
func (l *Load) Through(nodes []*Node, n int) *Load {
	l.others++
	beside := &Load{cluster: l.cluster, nodes: nodes, seed: l.seed + l.others, versions: l.versions}
	beside.begin(n, loadPrefixes[:])
	return beside
}

func (l *Load) begin(n int, prefixes []string) {
	ctx, cancel := context.WithCancel(context.Background())
	l.stop, l.mark = cancel, time.Now()
	for i := range n {
		w := &writer{load: l, number: i, random: rand.New(rand.NewPCG(l.seed, uint64(i))), client: &http.Client{Timeout: 60 * time.Second, Transport: l.cluster.client.Transport}}
		for j, prefix := range prefixes {
			w.files = append(w.files, &file{path: fmt.Sprintf("%s/load-%d/w%d/f%d", prefix, l.seed, i, j)})
		}
		l.writers = append(l.writers, w)
		l.wg.Go(func() { w.run(ctx) })
	}
}

// Stop ends the load, each writer after the request it is at.
func (l *Load) Stop() {
	l.stop()
	l.wg.Wait()
}

// For lets the load go on for d.
func (l *Load) For(d time.Duration) { time.Sleep(d) }

// Failures lists what was refused or answered wrongly.
func (l *Load) Failures() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.failures...)
}

// Slowest is the longest that one request took, retries included.
func (l *Load) Slowest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slowest
}

// SlowestWhat says which request that was.
func (l *Load) SlowestWhat() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.slowestAt
}

// Mark begins the wait of FirstAck: only requests that are sent from now on count. The
// first mark is the start of the load.
func (l *Load) Mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark, l.first = time.Now(), time.Time{}
}

// FirstAck waits for the first acknowledged write that was sent after Mark, and
// returns how long after Mark its answer came.
func (l *Load) FirstAck(within time.Duration) (time.Duration, error) {
	for began := time.Now(); time.Since(began) < within; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		took := l.first.Sub(l.mark)
		l.mu.Unlock()
		if took > 0 {
			return took, nil
		}
	}
	return 0, fmt.Errorf("no write was acknowledged within %v", within)
}

func (l *Load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 20 {
		l.failures = append(l.failures, fmt.Sprintf(format, args...))
	}
}

func (w *writer) run(ctx context.Context) {
	for ctx.Err() == nil {
		f := w.files[w.random.IntN(len(w.files))]
		if w.random.IntN(6) == 0 && f.content != nil {
			w.do(http.MethodDelete, f, nil, map[int]bool{204: true, 404: true})
			f.content = nil
			continue
		}
		body := w.body()
		if w.do(http.MethodPut, f, body, map[int]bool{200: true, 201: true}) {
			f.content = body
		}
	}
}

func (w *writer) body() []byte {
	b := make([]byte, 1+w.random.IntN(16_000))
	for i := range b {
		b[i] = byte(w.random.Uint32())
	}
	return b
}

// queuedFor is less than a gateway keeps a write while there is no master.
const queuedFor = 25 * time.Second

// do sends one request until it is answered.
func (w *writer) do(method string, f *file, body []byte, want map[int]bool) bool {
	w.puts++
	key := fmt.Sprintf("%d-%d-%d", w.load.seed, w.number, w.puts)
	began := time.Now()
	for time.Since(began) < Patience {
		n := w.load.nodes[w.random.IntN(len(w.load.nodes))]
		if !n.Running() {
			time.Sleep(time.Millisecond)
			continue
		}
		sent := time.Now()
		status, answer, err := w.send(n, method, f.path, body, key)
		// It stood in the queue as long as a write may: on a machine that is slow the new
		// master is still on its way.
		late := status == http.StatusServiceUnavailable && time.Since(sent) > queuedFor
		if (err != nil || late) && method == http.MethodDelete {
			// A delete has no key: the one without an answer may take effect at any later
			// time, so nothing can be said of this path any more.
			f.path += "x"
			return true
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the process is gone; another one is asked
		}
		if err != nil || late {
			continue
		}
		w.load.note(began, sent, want[status], method+" "+f.path+" through "+n.String())
		if method == http.MethodPut && want[status] {
			w.load.noteVersion(n, f.path, key, answer)
		}
		if !want[status] {
			w.load.fail("%s %s through %s: %d %s", method, f.path, n, status, answer)
		}
		return want[status]
	}
	w.load.fail("%s %s: no answer in %v", method, f.path, Patience)
	return false
}

// note counts an answer.
func (l *Load) note(began, sent time.Time, ok bool, what string) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if took := now.Sub(began); took > l.slowest {
		l.slowest, l.slowestAt = took, fmt.Sprintf("%s, begun %s, sent last %v before its answer", what, began.UTC().Format("15:04:05.000"), now.Sub(sent).Round(time.Millisecond))
	}
	if ok {
		l.Acknowledged.Add(1)
		if l.first.IsZero() && sent.After(l.mark) {
			l.first = now
		}
	}
}

// noteVersion checks that no two writes were given the same place in the log: then
// two masters would have acknowledged them.
func (l *Load) noteVersion(n *Node, path, key, answer string) {
	var row struct{ Version uint64 }
	if err := json.Unmarshal([]byte(answer), &row); err != nil || row.Version == 0 {
		l.fail("PUT %s through %s: no version in %.200q", path, n, answer)
		return
	}
	l.versions.mu.Lock()
	other, taken := l.versions.given[row.Version]
	l.versions.given[row.Version] = key
	l.versions.mu.Unlock()
	if taken && other != key {
		l.fail("PUT %s through %s: version %d was given to another write, too", path, n, row.Version)
	}
}

func (w *writer) send(n *Node, method, path string, body []byte, key string) (int, string, error) {
	req, err := http.NewRequest(method, n.URL()+"/files"+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if method == http.MethodPut {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, string(answer), err
}

// Verify reads every path through every node: what was acknowledged must be there.
func (l *Load) Verify() error {
	for _, w := range l.writers {
		for _, f := range w.files {
			for _, n := range l.cluster.Nodes {
				if err := w.verify(n, f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// verify looks at one path, again when its only copy cannot be read at the moment.
func (w *writer) verify(n *Node, f *file) (err error) {
	Until(Patience, func() bool {
		var again bool
		again, err = w.look(n, f)
		return !again
	})
	return err
}

func (w *writer) look(n *Node, f *file) (again bool, err error) {
	resp, err := w.client.Get(n.URL() + "/files" + f.path)
	if err != nil {
		return false, fmt.Errorf("GET %s through %s: %w", f.path, n, err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return false, fmt.Errorf("GET %s through %s: %w", f.path, n, err)
	case f.content == nil && resp.StatusCode == http.StatusNotFound:
		return false, nil
	case resp.StatusCode != http.StatusOK:
		return resp.StatusCode == http.StatusServiceUnavailable, fmt.Errorf("GET %s through %s: %d %.300s; %d bytes were acknowledged", f.path, n, resp.StatusCode, got, len(f.content))
	case !bytes.Equal(got, f.content):
		return false, fmt.Errorf("GET %s through %s: %d bytes, not the %d that were acknowledged", f.path, n, len(got), len(f.content))
	}
	return false, nil
}
