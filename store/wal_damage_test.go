package store

import (
	"fmt"
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func TestWAL_ADamagedTailIsDroppedButNotDamageThatWasDurable(t *testing.T) {
	build := func(t *testing.T) (*MemFS, *WAL) {
		fsys := NewMemFS(1)
		w, _ := openWAL(t, fsys)
		for from := uint64(1); from <= 100; from += 5 {
			mustLog(t, w, nil, logged(from, from+4, 1))
		}
		require.Greater(t, len(w.segments), 2)
		require.Greater(t, w.active().size, int64(segmentHeader+500))
		return fsys, w
	}
	t.Run("the last frame", func(t *testing.T) {
		fsys, w := build(t)
		flipBit(t, fsys, w.active().path(), w.active().size-1)
		w, rec := openWAL(t, fsys)
		assert.EqualValues(t, 95, rec.Last)
		assert.Positive(t, rec.Torn)
		assertLog(t, w, logged(1, 95, 1))
		_, rec = openWAL(t, fsys)
		assert.Zero(t, rec.Torn, "it is gone for good")
	})
	corrupt := map[string]func(t *testing.T, fsys *MemFS, w *WAL) (names []string){
		"a frame before synced ones": func(t *testing.T, fsys *MemFS, w *WAL) []string {
			flipBit(t, fsys, w.active().path(), segmentHeader+40)
			return []string{w.active().path(), fmt.Sprintf("byte %d", segmentHeader)}
		},
		"the end of an older segment": func(t *testing.T, fsys *MemFS, w *WAL) []string {
			s := w.segments[1]
			flipBit(t, fsys, s.path(), s.size-1)
			return []string{s.path()}
		},
		"an older segment cut off": func(t *testing.T, fsys *MemFS, w *WAL) []string {
			cutFile(t, fsys, w.segments[0].path(), 3)
			return []string{w.segments[0].path()}
		},
		"a header": func(t *testing.T, fsys *MemFS, w *WAL) []string {
			flipBit(t, fsys, w.active().path(), 20)
			return []string{w.active().path(), "byte 0"}
		},
		"an empty newest segment": func(t *testing.T, fsys *MemFS, w *WAL) []string {
			cutFile(t, fsys, w.active().path(), w.active().size)
			return []string{w.active().path()}
		},
		"a missing segment": func(t *testing.T, fsys *MemFS, w *WAL) []string {
			require.NoError(t, fsys.Remove(w.segments[1].path()))
			return []string{"hole", w.segments[2].path()}
		},
		"a segment under another's name": func(t *testing.T, fsys *MemFS, w *WAL) []string {
			name := path.Join(dirLog, fmt.Sprintf("%010d-%020d.wal", w.active().seq, w.active().first+1))
			require.NoError(t, fsys.Rename(w.active().path(), name))
			return []string{name}
		},
	}
	for name, spoil := range corrupt {
		t.Run(name, func(t *testing.T) {
			fsys, w := build(t)
			says := spoil(t, fsys, w)
			before := fsys.Mutations()
			_, _, err := OpenWAL(fsys, WALOptions{})
			assertCode(t, model.CodeCorrupt, err, says...)
			assert.Equal(t, before+2, fsys.Mutations(), "nothing was changed, only two directories were looked after")
		})
	}
}

func TestWAL_AMissingTailIsNoticedByTheCommitIndex(t *testing.T) {
	fsys := NewMemFS(1)
	w, _ := openWAL(t, fsys)
	for from := uint64(1); from <= 100; from += 5 {
		mustLog(t, w, &HardState{Term: 1, Commit: from + 4}, logged(from, from+4, 1))
	}
	s := w.active()
	w2 := walHeader{seq: s.seq + 1, supersedes: s.seq, first: s.first - 1, prevTerm: 1, state: HardState{Term: 1, Commit: s.first}, hasState: true}
	put(t, fsys, path.Join(dirLog, w2.name()), string(w2.encode()))
	_, _, err := OpenWAL(fsys, WALOptions{})
	assertCode(t, model.CodeCorrupt, err, "committed")
}

func TestWAL_AFailedWriteIsCutOffAndALaterAppendSucceeds(t *testing.T) {
	for name, rule := range map[string]FaultRule{
		"no space":                           {Op: FaultWrite, Match: "log/*.wal", Times: 1, NoSpace: true},
		"short":                              {Op: FaultWrite, Match: "log/*.wal", Times: 1, ShortWrite: true},
		"no space for the next segment":      {Op: FaultWrite, Match: "tmp/*.wal", Times: 1, NoSpace: true},
		"the next segment cannot be created": {Op: FaultCreate, Match: "tmp/*.wal", Times: 1},
		"the next segment cannot be named":   {Op: FaultRename, Match: "log/*.wal", Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := NewFaultFS(NewMemFS(1), 1)
			w, _ := openWAL(t, fsys)
			fsys.Add(rule)
			var failures int
			for at := uint64(1); at <= 40; {
				err := w.Append(nil, logged(at, at+3, 1), true)
				if err != nil {
					want := model.CodeUnavailable
					if rule.NoSpace {
						want = model.CodeClusterFull
					}
					assertCode(t, want, err, "log/")
					failures++
					continue
				}
				at += 4
			}
			assert.Equal(t, 1, failures)
			assertLog(t, w, logged(1, 40, 1))
			w, _ = openWAL(t, fsys)
			assertLog(t, w, logged(1, 40, 1))
		})
	}
}

func TestWAL_EntriesThatANewSegmentVoidsStayVoid(t *testing.T) {
	fsys := NewFaultFS(NewMemFS(1), 1)
	w, _ := openWAL(t, fsys)
	for from := uint64(1); from <= 100; from += 5 {
		mustLog(t, w, nil, logged(from, from+4, 1))
	}
	fsys.Add(FaultRule{Op: FaultWrite, Match: "log/*.wal"})
	assertCode(t, model.CodeUnavailable, w.Append(nil, logged(30, 32, 2), true))
	fsys.Clear()
	assertLog(t, w, logged(1, 29, 1))
	w, _ = openWAL(t, fsys)
	assertLog(t, w, logged(1, 29, 1))
	mustLog(t, w, nil, logged(30, 40, 2))
	require.NoError(t, w.TruncateBefore(30))
	w, _ = openWAL(t, fsys)
	assertLog(t, w, logged(30, 40, 2))
}

func TestWAL_AFailedSyncPoisonsForGood(t *testing.T) {
	for name, rule := range map[string]FaultRule{
		"of the segment":          {Op: FaultSync, Match: "log/*.wal", Times: 1},
		"of the directory":        {Op: FaultSyncDir, Match: "log", Times: 1},
		"and what it wrote stays": {Op: FaultTruncate, Match: "log/*.wal"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := NewFaultFS(NewMemFS(1), 1)
			w, _ := openWAL(t, fsys)
			mustLog(t, w, nil, logged(1, 10, 1))
			fsys.Add(rule)
			if rule.Op == FaultTruncate {
				fsys.Add(FaultRule{Op: FaultWrite, Match: "log/*.wal", Times: 1, ShortWrite: true})
			}
			var err error
			last := uint64(10)
			for err == nil {
				if err = w.Append(nil, logged(last+1, last+10, 1), true); err == nil {
					last += 10
				}
				require.Less(t, last, uint64(1000))
			}
			fsys.Clear()
			for _, again := range []error{w.Append(nil, logged(last+1, last+2, 1), true), w.TruncateBefore(5), w.Reset(500, 1)} {
				assertCode(t, model.CodeInternal, again, "end this process")
			}
			assertLog(t, w, logged(1, last, 1))
		})
	}
}

func TestWAL_WhatAFailedSyncLeftReadableIsWrittenAgainAtOpen(t *testing.T) {
	fsys := NewMemFS(1)
	w, _ := openWAL(t, fsys)
	mustLog(t, w, nil, logged(1, 5, 1))
	fsys.FailNextSync("log/*.wal", 1)
	assertCode(t, model.CodeInternal, w.Append(nil, logged(6, 10, 1), true))

	fsys = fsys.Crash(testRand(1), false)
	_, rec := openWAL(t, fsys)
	require.EqualValues(t, 10, rec.Last, "it can be read")
	for seed := range uint64(10) {
		_, again := openWAL(t, fsys.Crash(testRand(seed), true))
		assert.Equal(t, rec.Last, again.Last, "so it must stay, seed %d", seed)
	}
}

func FuzzWALFrameDecoder(f *testing.F) {
	frame := func(state *HardState, entries []LogEntry) []byte {
		buf, _ := appendFrame(nil, state, entries, 80)
		return buf
	}
	f.Add([]byte{})
	f.Add(frame(&HardState{1, 2, 3}, nil))
	f.Add(frame(nil, logged(5, 9, 2)))
	f.Add(frame(&HardState{1, 2, 3}, logged(5, 9, 2)))
	f.Add((&walHeader{seq: 1, first: 1}).encode())
	lying := frame(nil, logged(5, 9, 2))
	le.PutUint32(lying[12:], 1<<31)
	le.PutUint32(lying[frameCRCAt:], frameCRC(lying))
	f.Add(lying)
	f.Fuzz(func(t *testing.T, p []byte) {
		if h, err := decodeWALHeader(p); err == nil {
			if again, err := decodeWALHeader(h.encode()); err != nil || again != h {
				t.Fatalf("%+v became %+v: %v", h, again, err)
			}
		}
		for _, resum := range []bool{false, true} {
			if resum && len(p) >= frameHeader {
				p = append([]byte(nil), p...)
				le.PutUint32(p[frameCRCAt:], frameCRC(p)) // so that what is behind the checksum is reached
			}
			frame, err := decodeFrame(p)
			if err != nil {
				continue
			}
			var state *HardState
			if frame.hasState {
				state = &frame.state
			}
			if len(p) > frameTarget {
				continue
			}
			again, _ := appendFrame(nil, state, frame.entries, frame.durable)
			if _, err := decodeFrame(again); err != nil || len(again) != len(p) {
				t.Fatalf("what was decoded does not encode again: %v", err)
			}
		}
	})
}
