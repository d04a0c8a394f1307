package drill

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// file is what a writer knows of one of its paths.
type file struct {
	path    string
	content []byte // nil: absent
	pending []byte // of an operation without an answer; nil for a delete
	unknown bool
}

// writer changes its own paths, one after the other, until the server dies.
type writer struct {
	random *rand.Rand
	client *http.Client
	files  []*file
	acked  int
}

func newWriter(n int, seed uint64) *writer {
	w := &writer{random: rand.New(rand.NewPCG(seed, uint64(n))), client: &http.Client{Timeout: time.Minute}}
	for i, prefix := range []string{"/models", "/sessions", "/models", "/cache"} {
		w.files = append(w.files, &file{path: fmt.Sprintf("/files%s/w%d/f%d", prefix, n, i)})
	}
	return w
}

// run works until the first transport error: then one outcome is unknown.
func (w *writer) run(t *testing.T, s *server, acked *atomic.Int64) {
	for {
		f := w.files[w.random.IntN(len(w.files))]
		if w.random.IntN(5) == 0 {
			f.pending = nil
			status, _, err := s.do(w.client, http.MethodDelete, f.path, nil)
			if err != nil {
				f.unknown = true
				return
			}
			want := http.StatusNoContent
			if f.content == nil {
				want = http.StatusNotFound
			}
			if !assert.Equal(t, want, status, "DELETE %s", f.path) {
				return
			}
			f.content = nil
		} else {
			f.pending = w.body()
			status, answer, err := s.do(w.client, http.MethodPut, f.path, f.pending)
			if err != nil {
				f.unknown = true
				return
			}
			if !assert.Contains(t, []int{200, 201}, status, "PUT %s: %s", f.path, answer) {
				return
			}
			f.content = f.pending
		}
		w.acked++
		acked.Add(1)
	}
}

// body is mostly small, now and then of several extents.
func (w *writer) body() []byte {
	size := 1 + w.random.IntN(20_000)
	if w.random.IntN(20) == 0 {
		size = 8<<20 + w.random.IntN(9<<20)
	}
	b := make([]byte, size)
	for i := 0; i < len(b); i += 8 {
		v := w.random.Uint64()
		for j := i; j < min(i+8, len(b)); j++ {
			b[j] = byte(v >> (8 * (j - i)))
		}
	}
	return b
}

// check reads every path: it must hold what was acknowledged, or what the one
// unanswered operation would have made of it, whole.
func (w *writer) check(t *testing.T, s *server) {
	for _, f := range w.files {
		status, content, err := s.do(w.client, http.MethodGet, f.path, nil)
		require.NoError(t, err)
		got := content
		if status == http.StatusNotFound {
			got = nil
		} else if !assert.Equal(t, http.StatusOK, status, "GET %s: %.200s", f.path, content) {
			continue
		}
		same := (got == nil) == (f.content == nil) && bytes.Equal(got, f.content)
		if !same && f.unknown {
			same = (got == nil) == (f.pending == nil) && bytes.Equal(got, f.pending)
		}
		assert.True(t, same, "%s has %d bytes; %d were acknowledged, %d were under way (unknown %v)",
			f.path, len(got), len(f.content), len(f.pending), f.unknown)
		f.content, f.unknown = got, false
	}
}

// DRILL_ROUNDS sets how often the server is killed (default 6).
func TestKill_WhatWasAcknowledgedIsThereAfterKillMinus9(t *testing.T) {
	rounds := 6
	if text := os.Getenv("DRILL_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d rounds", seed, rounds)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var writers []*writer
	for n := range 12 {
		writers = append(writers, newWriter(n, seed))
	}
	for round := range rounds {
		s := start(t, dir)
		for _, w := range writers {
			w.check(t, s)
		}
		if t.Failed() {
			t.Fatalf("round %d: lost or wrong after kill -9; logs: %s", round, s.logs.String())
		}
		var wg sync.WaitGroup
		var acked atomic.Int64
		for _, w := range writers {
			wg.Go(func() { w.run(t, s, &acked) })
		}
		// A moment after some writes, however long they take here.
		some, later := int64(10+random.IntN(100)), time.Duration(random.IntN(300))*time.Millisecond
		require.True(t, procs.Until(procs.Patience, func() bool { return acked.Load() >= some || t.Failed() }), "the writers hardly got to write")
		timer := time.AfterFunc(later, func() { _ = s.cmd.Process.Kill() })
		wg.Wait()
		timer.Stop()
		s.kill()
	}
	s := start(t, dir)
	total := 0
	for _, w := range writers {
		w.check(t, s)
		total += w.acked
	}
	t.Logf("%d operations acknowledged, none lost", total)
}
