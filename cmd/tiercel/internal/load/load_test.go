package load

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/client/clienttest"
)

const dir = "/tmp/bench/x/"

// options of a short load on a server.
func options(s *clienttest.Server) Options {
	return Options{
		Connect: func(onRetry func(error, time.Duration)) (*client.Client, error) {
			return client.New(client.Options{Server: s.URL, Conns: 1, OnRetry: onRetry, BackOff: time.Millisecond})
		},
		Dir: dir, SizeBytes: 100, Connections: 4, Requests: 40, Files: 10, Grace: time.Millisecond,
	}
}

// at injects a fault into the requests of one method whose number, from 0, is listed.
func at(s *clienttest.Server, method string, fault clienttest.Fault, numbers ...int) {
	seen := -1
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method != method || r.URL.Query().Has("limit") {
			return clienttest.Fault{}
		}
		seen++
		for _, n := range numbers {
			if n == seen {
				return fault
			}
		}
		return clienttest.Fault{}
	}
}

func counts(list []Failure) map[model.Code]uint64 {
	out := map[model.Code]uint64{}
	for _, f := range list {
		out[f.Code] = f.Count
	}
	return out
}

func TestRun_EachWorkloadDoesWhatItSays(t *testing.T) {
	s := clienttest.New(t)
	o := options(s)
	o.Tier = model.TierRebuildable
	r := Run(t.Context(), Workloads(), o)
	require.True(t, r.OK(), r)
	require.Len(t, r.Workloads, 4)
	durable := func(writes uint64) []Durability {
		return []Durability{{TierAsked: 3, TierAchieved: 3, CopiesWanted: 2, CopiesDurable: 1, Writes: writes}}
	}
	put, get, mixed, removed := r.Workloads[0], r.Workloads[1], r.Workloads[2], r.Workloads[3]
	assert.Equal(t, uint64(40), put.Requests)
	assert.Equal(t, int64(4000), put.MovedBytes)
	assert.Equal(t, durable(40), put.Durability)
	assert.Equal(t, uint64(40), get.Requests)
	assert.Equal(t, uint64(40), get.VerifiedReads)
	assert.Empty(t, get.Durability)

	assert.Equal(t, uint64(40), mixed.Requests)
	require.Len(t, mixed.Parts, 2)
	writes := mixed.Parts[0]
	assert.Equal(t, "put", writes.Operation)
	assert.NotZero(t, writes.Requests)
	assert.Greater(t, mixed.Parts[1].Requests, writes.Requests, "more is read than written")
	assert.Equal(t, durable(writes.Requests), mixed.Durability)
	assert.Equal(t, mixed.Parts[1].Requests, mixed.VerifiedReads)

	assert.Equal(t, uint64(40), removed.Requests)
	assert.Zero(t, removed.MovedBytes)
	assert.Equal(t, 40, s.Count("DELETE "))
	for _, w := range r.Workloads {
		l := w.LatencyMs
		assert.True(t, 0 < l.P50 && l.P50 <= l.P90 && l.P90 <= l.P99 && l.P99 <= l.P999 && l.P999 <= l.Max, "%+v", l)
		assert.Greater(t, w.RequestsPerSecond, 0.0)
	}
	assert.Len(t, s.Files(), int(40+writes.Requests), "what put and mixed stored; delete took what get needed, and 30 more")
	for path := range s.Files() {
		assert.True(t, strings.HasPrefix(path, dir), path)
	}
}

func TestRun_ADurationEndsAWorkload(t *testing.T) {
	s := clienttest.New(t)
	o := options(s)
	o.Requests, o.Duration = 0, 20*time.Millisecond
	r := Run(t.Context(), []Workload{Put, Get}, o)
	require.True(t, r.OK(), r)
	for _, w := range r.Workloads {
		assert.NotZero(t, w.Requests)
		assert.NotZero(t, w.Seconds)
	}
}

func TestRun_DeleteSaysThatItEndedEarly(t *testing.T) {
	s := clienttest.New(t)
	o := options(s)
	o.Requests, o.Duration = 0, time.Hour
	r := Run(t.Context(), []Workload{Delete}, o)
	require.True(t, r.OK(), r)
	assert.Equal(t, uint64(10), r.Workloads[0].Requests)
	assert.Contains(t, r.Workloads[0].Note, "all 10 files")
	assert.Empty(t, s.Files())
}

func TestRun_RefusalsForAWhileAreRepeatedAndCounted(t *testing.T) {
	s := clienttest.New(t)
	at(s, http.MethodPut, clienttest.Fault{Status: 429, Code: "overloaded", RetryAfter: "1"}, 3)
	o := options(s)
	r := Run(t.Context(), []Workload{Put}, o)
	require.True(t, r.OK(), r)
	w := r.Workloads[0]
	assert.Equal(t, uint64(40), w.Requests)
	assert.Equal(t, map[model.Code]uint64{"overloaded": 1}, counts(w.Retried))
	assert.GreaterOrEqual(t, w.WaitedSeconds, 1.0, "as Retry-After says")
	assert.GreaterOrEqual(t, w.LatencyMs.Max, 1000.0, "a client lives through the wait")

	at(s, http.MethodPut, clienttest.Fault{Status: 503, Code: "no_master"}, 1, 2, 7)
	r = Run(t.Context(), []Workload{Put}, o)
	require.True(t, r.OK(), r)
	assert.Equal(t, map[model.Code]uint64{"no_master": 3}, counts(r.Workloads[0].Retried))
}

func TestRun_AWaitBeyondTheEndIsNotWaitedFor(t *testing.T) {
	s := clienttest.New(t)
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method == http.MethodPut {
			return clienttest.Fault{Status: 429, Code: "overloaded", RetryAfter: "50"}
		}
		return clienttest.Fault{}
	}
	o := options(s)
	o.Requests, o.Duration = 0, 3*time.Second
	r := Run(t.Context(), []Workload{Put, Put}, o)
	require.Len(t, r.Workloads, 2, "it may be better in the next one")
	for _, w := range r.Workloads {
		assert.Empty(t, w.Retried)
		assert.Equal(t, map[model.Code]uint64{"overloaded": 4}, counts(w.Errors), "each connection asked once")
	}
}

func TestRun_FailuresAreCountedByCodeAndNotAsThroughput(t *testing.T) {
	s := clienttest.New(t)
	at(s, http.MethodPut, clienttest.Fault{Status: 507, Code: "quota_exceeded"}, 0, 5, 6)
	r := Run(t.Context(), []Workload{Put}, options(s))
	assert.False(t, r.OK())
	assert.Empty(t, r.Stopped, "others may succeed")
	w := r.Workloads[0]
	assert.Equal(t, uint64(37), w.Requests)
	assert.Equal(t, map[model.Code]uint64{"quota_exceeded": 3}, counts(w.Errors))
	assert.Contains(t, w.Errors[0].First, "injected")
}

func TestRun_DamageIsNoticed(t *testing.T) {
	s := clienttest.New(t)
	at(s, http.MethodGet, clienttest.Fault{FlipBit: true}, 4)
	r := Run(t.Context(), []Workload{Get}, options(s))
	assert.Equal(t, map[model.Code]uint64{"corrupt": 1}, counts(r.Workloads[0].Errors))
	assert.Equal(t, uint64(39), r.Workloads[0].VerifiedReads)
}

func TestRun_ContentThatIsWholeButNotWhatWasWrittenIsNoticed(t *testing.T) {
	s := clienttest.New(t)
	o := options(s)
	o.Files = 1
	swapped := false
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method != http.MethodGet || r.URL.Query().Has("limit") || swapped {
			return clienttest.Fault{}
		}
		swapped = true
		path := strings.TrimPrefix(r.URL.Path, "/api/v1/storage/files")
		return clienttest.Fault{Before: func() { s.Store(path, strings.Repeat("x", 100)) }}
	}
	r := Run(t.Context(), []Workload{Get}, o)
	w := r.Workloads[0]
	require.NotEmpty(t, w.Errors)
	assert.Equal(t, model.CodeCorrupt, w.Errors[0].Code)
	assert.Contains(t, w.Errors[0].First, "what was stored")
}

func TestRun_WhatEveryRequestWouldMeetEndsIt(t *testing.T) {
	for code, status := range map[string]int{"permission_denied": 403, "license_denied": 403, "unauthenticated": 401} {
		s := clienttest.New(t)
		s.Fault = func(r *http.Request) clienttest.Fault {
			if r.Method == http.MethodPut {
				return clienttest.Fault{Status: status, Code: code}
			}
			return clienttest.Fault{}
		}
		o := options(s)
		o.Requests, o.Duration = 0, time.Hour
		r := Run(t.Context(), []Workload{Put, Get}, o)
		require.Len(t, r.Workloads, 1)
		assert.Contains(t, r.Stopped, "every other request would fail")

		r = Run(t.Context(), []Workload{Get}, o)
		assert.Empty(t, r.Workloads)
		assert.Contains(t, r.Stopped, "only 0 of 10 files could be stored beforehand: ")
		assert.Contains(t, r.Stopped, code)
	}
}

func TestRun_AnInterruptionKeepsWhatWasMeasured(t *testing.T) {
	s := clienttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method != http.MethodPut {
			return clienttest.Fault{}
		}
		if seen++; seen < 20 {
			return clienttest.Fault{}
		}
		cancel()
		return clienttest.Fault{Stall: true} // until it is cut off
	}
	o := options(s)
	o.Requests, o.Duration = 0, time.Hour
	r := Run(ctx, []Workload{Put, Get}, o)
	assert.Contains(t, r.Stopped, "interrupted")
	assert.False(t, r.OK())
	require.Len(t, r.Workloads, 1)
	w := r.Workloads[0]
	// Of those before the 20th the other connections may still have had one each.
	assert.GreaterOrEqual(t, w.Requests, uint64(16))
	assert.LessOrEqual(t, w.Requests, uint64(19))
	assert.GreaterOrEqual(t, w.Requests+r.Unfinished(), uint64(20))
	assert.Empty(t, w.Errors, "it is no fault of the server")
}

func TestRun_AnInterruptionWhileFilesAreStoredFirst(t *testing.T) {
	s := clienttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method == http.MethodPut {
			cancel()
		}
		return clienttest.Fault{}
	}
	r := Run(ctx, []Workload{Get}, options(s))
	assert.Contains(t, r.Stopped, "interrupted")
	assert.Empty(t, r.Workloads)
}

func TestContent_IsTheSameHoweverItIsReadAndDiffersByFile(t *testing.T) {
	block := newBlock()
	read := func(number uint64, size int64, wrap func(io.Reader) io.Reader) string {
		r, err := source(block, number, size).Open()
		require.NoError(t, err)
		all, err := io.ReadAll(wrap(r))
		require.NoError(t, err)
		require.Len(t, all, int(size))
		return string(all)
	}
	whole := func(r io.Reader) io.Reader { return r }
	for _, size := range []int64{0, 1, stampBytes, stampBytes + 1, 2*blockBytes + 5} {
		once := read(7, size, whole)
		assert.True(t, once == read(7, size, iotest.HalfReader), size)
		if size > 0 {
			assert.False(t, once == read(8, size, whole), size)
		}
	}
	long := read(7, 2*blockBytes, whole)
	assert.False(t, long[:blockBytes] == long[blockBytes:], "a block is not like the next")
	assert.NoError(t, iotest.TestReader(&content{block: block, number: 3, size: blockBytes + 100}, []byte(read(3, blockBytes+100, whole))))
}
