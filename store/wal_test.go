package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func openWAL(t *testing.T, fsys FS) (*WAL, *WALRecovery) {
	t.Helper()
	w, rec, err := OpenWAL(fsys, WALOptions{SegmentBytes: 2000, CacheBytes: 1000})
	require.NoError(t, err)
	return w, rec
}

// logged makes the entries from to to, whose data tells index and term.
func logged(from, to, term uint64) []LogEntry {
	var entries []LogEntry
	for i := from; i <= to; i++ {
		entries = append(entries, LogEntry{Index: i, Term: term, Kind: uint8(i % 3), Data: []byte(strings.Repeat(fmt.Sprintf("%d.%d ", term, i), int(i%20)))})
	}
	return entries
}

func mustLog(t *testing.T, w *WAL, state *HardState, entries []LogEntry) {
	t.Helper()
	require.NoError(t, w.Append(state, entries, true))
}

func assertLog(t *testing.T, w *WAL, want []LogEntry) {
	t.Helper()
	if len(want) == 0 {
		assert.Equal(t, w.First(), w.Last()+1)
		return
	}
	assert.Equal(t, want[len(want)-1].Index, w.Last())
	got, err := w.Entries(want[0].Index, w.Last()+1, 0)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].Index, got[i].Index)
		require.Equal(t, want[i].Term, got[i].Term)
		require.Equal(t, want[i].Kind, got[i].Kind)
		require.Equal(t, string(want[i].Data), string(got[i].Data))
		term, err := w.Term(want[i].Index)
		require.NoError(t, err)
		require.Equal(t, want[i].Term, term)
	}
}

func segmentNames(t *testing.T, fsys FS) []string {
	t.Helper()
	names, err := fsys.List(dirLog)
	require.NoError(t, err)
	return names
}

func TestWAL_ComesBackAsItWasWritten(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		w, rec := openWAL(t, fsys)
		assert.Equal(t, &WALRecovery{First: 1}, rec)
		for from := uint64(1); from < 200; from += 10 {
			mustLog(t, w, &HardState{Term: 1, Vote: 7, Commit: from}, logged(from, from+9, 1+from/50))
		}
		var want []LogEntry
		for from := uint64(1); from < 200; from += 10 {
			want = append(want, logged(from, from+9, 1+from/50)...)
		}
		assertLog(t, w, want)
		size := w.Bytes()
		require.NoError(t, w.Close())
		assertCode(t, model.CodeInternal, w.Append(nil, logged(201, 201, 9), true))

		w, rec = openWAL(t, fsys)
		assert.Equal(t, &WALRecovery{State: HardState{Term: 1, Vote: 7, Commit: 191}, HasState: true, First: 1, Last: 200}, rec)
		assertLog(t, w, want)
		assert.Equal(t, size, w.Bytes())
		assert.Greater(t, len(segmentNames(t, fsys)), 3)
		mustLog(t, w, nil, logged(201, 205, 9))
		assertLog(t, w, append(want, logged(201, 205, 9)...))
		require.NoError(t, w.Close())
	})
}

func TestWAL_ALaterEntryReplacesTheRest(t *testing.T) {
	for _, at := range []uint64{100, 90, 50, 2, 1} {
		t.Run(fmt.Sprintf("from %d", at), func(t *testing.T) {
			fsys := NewMemFS(1)
			w, _ := openWAL(t, fsys)
			for from := uint64(1); from <= 100; from += 5 {
				mustLog(t, w, nil, logged(from, from+4, 1))
			}
			mustLog(t, w, nil, logged(at, at+2, 2))
			want := append(logged(1, 100, 1)[:at-1], logged(at, at+2, 2)...)
			assertLog(t, w, want)
			w, _ = openWAL(t, fsys)
			assertLog(t, w, want)
			require.NoError(t, w.TruncateBefore(at))
			w, rec := openWAL(t, fsys)
			assert.LessOrEqual(t, rec.First, at)
			assertLog(t, w, want[rec.First-1:])
		})
	}
}

func TestWAL_EntriesAreBoundedByBytesButNeverNone(t *testing.T) {
	w, _ := openWAL(t, NewMemFS(1))
	for from := uint64(1); from <= 100; from += 5 {
		mustLog(t, w, nil, logged(from, from+4, 1))
	}
	for lo := uint64(1); lo <= 100; lo += 7 {
		for _, limit := range []int{1, 50, 500, 5000} {
			got, err := w.Entries(lo, 101, limit)
			require.NoError(t, err)
			require.NotEmpty(t, got)
			bytes := 0
			for i, e := range got {
				bytes += len(e.Data)
				assert.Equal(t, lo+uint64(i), e.Index)
			}
			assert.True(t, bytes <= limit || len(got) == 1, "%d bytes", bytes)
		}
	}
	got, err := w.Entries(50, 50, 0)
	require.NoError(t, err)
	assert.Empty(t, got)
	_, err = w.Entries(0, 5, 0)
	assert.ErrorIs(t, err, ErrLogCompacted)
	_, err = w.Entries(99, 102, 0)
	assert.ErrorIs(t, err, ErrLogUnavailable)
	assertCode(t, model.CodeNotFound, err)
	_, err = w.Term(101)
	assert.ErrorIs(t, err, ErrLogUnavailable)
}

func TestWAL_RefusesEntriesThatDoNotFit(t *testing.T) {
	w, _ := openWAL(t, NewMemFS(1))
	mustLog(t, w, nil, logged(1, 3, 1))
	gap := logged(4, 6, 1)
	gap[2].Index = 9
	for name, entries := range map[string][]LogEntry{
		"a hole": logged(5, 6, 1), "a hole inside": gap, "index zero": logged(0, 1, 1),
		"too long": {{Index: 4, Term: 1, Data: make([]byte, maxEntryBytes+1)}},
	} {
		assertCode(t, model.CodeInvalidArgument, w.Append(nil, entries, true))
		assert.EqualValues(t, 3, w.Last(), name)
	}
}

func TestWAL_ALargeAppendIsCutIntoFramesWithTheStateLast(t *testing.T) {
	fsys := NewMemFS(1)
	w, _, err := OpenWAL(fsys, WALOptions{})
	require.NoError(t, err)
	var entries []LogEntry
	for i := uint64(1); i <= 5; i++ {
		entries = append(entries, LogEntry{Index: i, Term: 1, Data: body(int(i), 3<<20)})
	}
	mustLog(t, w, &HardState{Term: 1, Commit: 5}, entries)
	frames := len(w.index.frames)
	assert.Greater(t, frames, 1)
	cut := w.active().size - w.index.frames[frames-1].offset
	cutFile(t, fsys, w.active().path(), cut-10)
	w, rec, err := OpenWAL(fsys, WALOptions{})
	require.NoError(t, err)
	assert.False(t, rec.HasState, "no commit index without its entries")
	assert.EqualValues(t, 10, rec.Torn)
	assertLog(t, w, entries[:rec.Last])
}

func TestWAL_TruncatesWholeSegmentsAndKeepsTheTermBefore(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		w, _ := openWAL(t, fsys)
		for from := uint64(1); from <= 200; from += 5 {
			mustLog(t, w, &HardState{Term: from, Commit: from}, logged(from, from+4, from/20))
		}
		before := w.Bytes()
		require.NoError(t, w.TruncateBefore(150))
		first := w.First()
		assert.True(t, first > 100 && first <= 150, "first %d", first)
		assert.Less(t, w.Bytes(), before)
		var want []LogEntry
		for from := uint64(1); from <= 200; from += 5 {
			want = append(want, logged(from, from+4, from/20)...)
		}
		check := func(w *WAL) {
			assert.Equal(t, first, w.First())
			assertLog(t, w, want[first-1:])
			term, err := w.Term(first - 1)
			require.NoError(t, err)
			assert.Equal(t, want[first-2].Term, term)
			_, err = w.Term(first - 2)
			assert.ErrorIs(t, err, ErrLogCompacted)
		}
		check(w)
		require.NoError(t, w.Close())
		w, rec := openWAL(t, fsys)
		check(w)
		assert.Equal(t, HardState{Term: 196, Commit: 196}, rec.State)

		require.NoError(t, w.TruncateBefore(1000), "the active segment stays")
		assert.EqualValues(t, 200, w.Last())
		require.NoError(t, w.Close())
	})
}

func TestWAL_ResetGoesOnAfterASnapshot(t *testing.T) {
	fsys := NewMemFS(1)
	w, _ := openWAL(t, fsys)
	for from := uint64(1); from <= 50; from += 5 {
		mustLog(t, w, &HardState{Term: 3, Vote: 1, Commit: 20}, logged(from, from+4, 1))
	}
	assertCode(t, model.CodeInvalidArgument, w.Reset(19, 1))
	require.NoError(t, w.Reset(1000, 7))
	assert.EqualValues(t, 1001, w.First())
	assert.EqualValues(t, 1000, w.Last())
	assert.Len(t, segmentNames(t, fsys), 1)
	w, rec := openWAL(t, fsys)
	assert.Equal(t, &WALRecovery{State: HardState{Term: 3, Vote: 1, Commit: 20}, HasState: true, First: 1001, Last: 1000}, rec)
	term, err := w.Term(1000)
	require.NoError(t, err)
	assert.EqualValues(t, 7, term)
	mustLog(t, w, nil, logged(1001, 1003, 8))
	w, _ = openWAL(t, fsys)
	assertLog(t, w, logged(1001, 1003, 8))
}

func TestWAL_OneAppendIsOneWriteAndOneSync(t *testing.T) {
	fsys := NewMemFS(1)
	w, _, err := OpenWAL(fsys, WALOptions{})
	require.NoError(t, err)
	before := fsys.Mutations()
	mustLog(t, w, &HardState{Term: 1}, logged(1, 100, 1))
	assert.Equal(t, 2, fsys.Mutations()-before)
	before = fsys.Mutations()
	mustLog(t, w, &HardState{Term: 1}, nil)
	assert.Equal(t, 0, fsys.Mutations()-before, "an unchanged state costs nothing")
}
