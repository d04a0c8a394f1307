package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outcomes runs many power losses from the state that prepare makes and counts
// what show tells of each.
func outcomes(t *testing.T, prepare func(m *MemFS), show func(m *MemFS) string) map[string]int {
	t.Helper()
	m := NewMemFS(1)
	prepare(m)
	seen := map[string]int{}
	for seed := range uint64(300) {
		seen[show(m.Crash(testRand(seed), true))]++
	}
	return seen
}

func keys(m map[string]int) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestMemFS_APowerLossKeepsOrLosesDirectoryEntries(t *testing.T) {
	synced := func(t *testing.T, m *MemFS, names ...string) {
		for _, name := range names {
			put(t, m, name, name)
		}
		require.NoError(t, m.SyncDir("."))
	}
	cases := []struct {
		name    string
		prepare func(m *MemFS)
		want    []string // every outcome that may be, and must be seen
	}{
		{"a file created and synced, but not its directory", func(m *MemFS) {
			put(t, m, "a", "a")
		}, []string{"", "a=a"}},
		{"a file created, with its directory synced", func(m *MemFS) {
			synced(t, m, "a")
		}, []string{"a=a"}},
		{"a rename without the directory: the old file may be back", func(m *MemFS) {
			synced(t, m, "a", "b")
			require.NoError(t, m.Rename("a", "b"))
		}, []string{"a=a b=b", "b=a"}},
		{"a rename with the directory", func(m *MemFS) {
			synced(t, m, "a", "b")
			require.NoError(t, m.Rename("a", "b"))
			require.NoError(t, m.SyncDir("."))
		}, []string{"b=a"}},
		{"a removal without the directory", func(m *MemFS) {
			synced(t, m, "a")
			require.NoError(t, m.Remove("a"))
		}, []string{"", "a=a"}},
		{"two removals, each for itself", func(m *MemFS) {
			synced(t, m, "a", "b")
			require.NoError(t, m.Remove("a"))
			require.NoError(t, m.Remove("b"))
		}, []string{"", "a=a", "a=a b=b", "b=b"}},
		{"a rename to another directory of which only the new one is synced", func(m *MemFS) {
			synced(t, m, "a")
			require.NoError(t, m.MkdirAll("d"))
			require.NoError(t, m.Rename("a", "d/b"))
			require.NoError(t, m.SyncDir("d"))
		}, []string{"a=a d/b=a", "d/b=a"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			seen := outcomes(t, c.prepare, func(m *MemFS) string {
				var shown []string
				for _, name := range m.Names() {
					shown = append(shown, name+"="+content(t, m, name))
				}
				return strings.Join(shown, " ")
			})
			assert.Equal(t, c.want, keys(seen))
		})
	}
}

func TestMemFS_APowerLossTearsWhatWasNotSynced(t *testing.T) {
	old, young := bytes.Repeat([]byte{1}, 3*memBlock), bytes.Repeat([]byte{2}, 4*memBlock)
	var kept, dropped, torn, sizes int
	outcomes(t, func(m *MemFS) {
		put(t, m, "a", string(old))
		require.NoError(t, m.SyncDir("."))
		f, err := m.Open("a")
		require.NoError(t, err)
		_, err = f.WriteAt(young, 0)
		require.NoError(t, err)
	}, func(m *MemFS) string {
		data := []byte(content(t, m, "a"))
		if len(data) != len(old) && len(data) != len(young) {
			sizes++
		}
		assert.True(t, len(data) >= len(old) && len(data) <= len(young), "%d bytes", len(data))
		for b := range 3 {
			block := data[b*memBlock:][:memBlock]
			switch {
			case bytes.Equal(block, young[:memBlock]):
				kept++
			case bytes.Equal(block, old[:memBlock]):
				dropped++
			default:
				torn++
			}
		}
		return ""
	})
	assert.True(t, kept > 100 && dropped > 100 && torn > 100 && sizes > 10, "kept %d dropped %d torn %d sizes %d", kept, dropped, torn, sizes)
}

func TestMemFS_WhatAFailedSyncLostStaysLost(t *testing.T) {
	prepare := func(fail, rewrite bool) func(m *MemFS) {
		return func(m *MemFS) {
			put(t, m, "a", "old")
			require.NoError(t, m.SyncDir("."))
			f, err := m.Open("a")
			require.NoError(t, err)
			_, err = f.WriteAt([]byte("new"), 0)
			require.NoError(t, err)
			if fail {
				m.FailNextSync("a", 1)
				require.Error(t, f.Sync())
			}
			assert.Equal(t, "new", content(t, m, "a"), "it can still be read")
			if rewrite {
				_, err = f.WriteAt([]byte("new"), 0)
				require.NoError(t, err)
			}
			require.NoError(t, f.Sync(), "a later sync says that all is well")
		}
	}
	show := func(m *MemFS) string { return content(t, m, "a") }
	assert.Equal(t, []string{"new"}, keys(outcomes(t, prepare(false, false), show)))
	assert.Equal(t, []string{"old"}, keys(outcomes(t, prepare(true, false), show)), "but it was not")
	assert.Equal(t, []string{"new"}, keys(outcomes(t, prepare(true, true), show)), "only writing again helps")
}

func TestMemFS_AKilledProcessLosesNothingItWroteButMakesNothingDurable(t *testing.T) {
	m := NewMemFS(1)
	f, err := m.Create("a")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("x"), 0)
	require.NoError(t, err)
	lock, err := m.Lock("LOCK")
	require.NoError(t, err)

	next := m.Crash(testRand(1), false)
	_, err = f.WriteAt([]byte("y"), 0)
	assert.ErrorIs(t, err, ErrCrashed)
	_, err = m.List(".")
	assert.ErrorIs(t, err, ErrCrashed)
	require.NoError(t, lock.Close())

	assert.Equal(t, "x", content(t, next, "a"))
	_, err = next.Lock("LOCK")
	assert.NoError(t, err, "the lock died with the process")
	gone := 0
	for seed := range uint64(20) {
		if names := next.Crash(testRand(seed), true).Names(); !slices.Contains(names, "a") {
			gone++
		}
	}
	assert.Positive(t, gone, "a power loss after the kill may still take it")
}

func TestMemFS_CrashesInTheMiddle(t *testing.T) {
	m := NewMemFS(1)
	calls := 0
	m.CrashAfter(2, func() { calls++; assert.Empty(t, m.Crash(testRand(1), true).Names()) })
	f, err := m.Create("a")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("x"), 0)
	assert.ErrorIs(t, err, ErrCrashed)
	assert.ErrorIs(t, f.Sync(), ErrCrashed)
	assert.Equal(t, 1, calls)
	assert.Empty(t, content(t, m.Crash(testRand(1), false), "a"), "the operation had no effect")
}

func TestMemFS_TheSameSeedGivesTheSameResult(t *testing.T) {
	run := func() string {
		m := NewMemFS(3)
		for i := range 20 {
			f, err := m.Create(fmt.Sprintf("f%d", i))
			require.NoError(t, err)
			_, err = f.WriteAt(bytes.Repeat([]byte{byte(i)}, 10_000), 5)
			require.NoError(t, err)
			if i%3 == 0 {
				require.NoError(t, m.SyncDir("."))
			}
		}
		var all strings.Builder
		for seed := range uint64(5) {
			next := m.Crash(testRand(seed), true)
			for _, name := range next.Names() {
				fmt.Fprintf(&all, "%s %q\n", name, content(t, next, name))
			}
		}
		return all.String()
	}
	first := run()
	for range 3 {
		assert.Equal(t, first, run())
	}
}
