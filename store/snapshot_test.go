package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func pairsOf(n int) []Pair {
	pairs := make([]Pair, n)
	for i := range pairs {
		pairs[i] = Pair{fmt.Sprintf("f/acme\x00/%06d", i), strings.Repeat(fmt.Sprint(i), i%30)}
	}
	return pairs
}

func metaAt(index uint64) SnapshotMeta {
	return SnapshotMeta{Index: index, Term: 4, Conf: []byte("conf"), StateHash: []byte("hash"), ClusterVersion: 2}
}

func takeSnapshot(fsys FS, index uint64, chunks ...[]Pair) error {
	w, err := CreateSnapshot(fsys, metaAt(index))
	for _, c := range chunks {
		if err == nil {
			err = w.WriteChunk(c)
		}
	}
	if err == nil {
		err = w.Finish()
	}
	return err
}

func loadSnapshot(fsys FS, index uint64) (pairs []Pair, meta SnapshotMeta, err error) {
	meta, err = LoadSnapshot(fsys, index, func(p []Pair) error {
		pairs = append(pairs, p...)
		return nil
	})
	return pairs, meta, err
}

func TestSnapshot_ComesBackAsItWas(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		big := Pair{"z", strings.Repeat("x", MaxPairBytes-1)}
		for index, chunks := range [][][]Pair{
			{},
			{{}},
			{{{"", ""}}},
			{pairsOf(1000)},
			{pairsOf(2000)[:700], pairsOf(2000)[700:701], pairsOf(2000)[701:]},
			{pairsOf(10), {big}},
			{pairsOf(50_000)}, // more than one chunk's worth
		} {
			require.NoError(t, takeSnapshot(fsys, uint64(index), chunks...))
			pairs, meta, err := loadSnapshot(fsys, uint64(index))
			require.NoError(t, err)
			assert.Equal(t, metaAt(uint64(index)), meta)
			assert.True(t, slices.Equal(slices.Concat(chunks...), pairs))
			meta, err = VerifySnapshot(fsys, uint64(index))
			require.NoError(t, err)
			assert.EqualValues(t, index, meta.Index)
		}
		indexes, err := ListSnapshots(fsys)
		require.NoError(t, err)
		assert.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6}, indexes)
		require.NoError(t, RemoveSnapshotsBelow(fsys, 5))
		indexes, err = ListSnapshots(fsys)
		require.NoError(t, err)
		assert.Equal(t, []uint64{5, 6}, indexes)
		left, err := fsys.List(dirTmp)
		require.NoError(t, err)
		assert.Empty(t, left)
	})
}

func TestSnapshot_IsNothingBeforeItIsFinished(t *testing.T) {
	fsys := NewMemFS(1)
	indexes, err := ListSnapshots(fsys)
	require.NoError(t, err)
	assert.Empty(t, indexes)
	_, err = VerifySnapshot(fsys, 1)
	assertCode(t, model.CodeNotFound, err)

	w, err := CreateSnapshot(fsys, metaAt(1))
	require.NoError(t, err)
	require.NoError(t, w.WriteChunk(pairsOf(10)))
	indexes, err = ListSnapshots(fsys)
	require.NoError(t, err)
	assert.Empty(t, indexes)
	require.NoError(t, w.Abort())
	require.NoError(t, w.Abort())
	assert.Error(t, w.WriteChunk(pairsOf(1)))
	assert.Error(t, w.Finish())
	assert.Empty(t, fsys.Names())

	w, err = CreateSnapshot(fsys, metaAt(1))
	require.NoError(t, err)
	require.NoError(t, w.Finish())
	require.NoError(t, w.Abort(), "after a good end it does nothing")
	_, err = VerifySnapshot(fsys, 1)
	assert.NoError(t, err)
}

func TestSnapshot_RefusesKeysOutOfOrder(t *testing.T) {
	for _, keys := range [][]string{{"b", "a"}, {"a", "a"}, {"", ""}} {
		w, err := CreateSnapshot(NewMemFS(1), metaAt(1))
		require.NoError(t, err)
		require.NoError(t, w.WriteChunk([]Pair{{Key: keys[0]}}))
		assertCode(t, model.CodeInternal, w.WriteChunk([]Pair{{Key: keys[1]}}))
		assert.Error(t, w.Finish())
	}
	w, err := CreateSnapshot(NewMemFS(1), metaAt(1))
	require.NoError(t, err)
	assertCode(t, model.CodeInvalidArgument, w.WriteChunk([]Pair{{"k", strings.Repeat("x", MaxPairBytes)}}))
}

func TestSnapshot_EveryDamageIsNoticed(t *testing.T) {
	fsys := NewMemFS(1)
	require.NoError(t, takeSnapshot(fsys, 1, pairsOf(20), pairsOf(40)[20:], pairsOf(60)[40:]))
	name := snapshotName(1)
	whole := content(t, fsys, name)
	put2 := func(text string) {
		require.NoError(t, replaceFile(fsys, name, []byte(text)))
	}
	for at := range len(whole) {
		flipBit(t, fsys, name, int64(at))
		_, err := VerifySnapshot(fsys, 1)
		assertCode(t, model.CodeCorrupt, err, name)
		flipBit(t, fsys, name, int64(at))
	}
	for n := range len(whole) {
		put2(whole[:n])
		_, err := VerifySnapshot(fsys, 1)
		assertCode(t, model.CodeCorrupt, err, name)
	}
	put2(whole + "x")
	_, err := VerifySnapshot(fsys, 1)
	assertCode(t, model.CodeCorrupt, err, "after its end")

	// Whole blocks missing, doubled or exchanged, each with its checksum right.
	blocks := splitBlocks(whole)
	require.Len(t, blocks, 5)
	for _, order := range [][]int{{0, 1, 2, 4}, {0, 1, 1, 2, 3, 4}, {0, 2, 1, 3, 4}, {0, 1, 2, 3}, {1, 2, 3, 4}, {0, 1, 2, 3, 3}, {0, 0, 1, 2, 3, 4}} {
		text := ""
		for _, i := range order {
			text += blocks[i]
		}
		put2(text)
		_, err := VerifySnapshot(fsys, 1)
		assertCode(t, model.CodeCorrupt, err, name)
	}
	// Blocks of other snapshots that would fit: only the checksum of the whole, or
	// the order of the keys, tells.
	other := pairsOf(20)
	other[7].Value += "!"
	require.NoError(t, takeSnapshot(fsys, 3, other))
	put2(blocks[0] + splitBlocks(content(t, fsys, snapshotName(3)))[1] + strings.Join(blocks[2:], ""))
	_, err = VerifySnapshot(fsys, 1)
	assertCode(t, model.CodeCorrupt, err, "the whole does not match")
	w, err := CreateSnapshot(fsys, metaAt(4))
	require.NoError(t, err)
	for _, key := range []string{"b", "a"} {
		require.NoError(t, w.WriteChunk([]Pair{{Key: key}}))
		w.pairs, w.last = 0, "" // so that it does not notice
	}
	w.pairs = 2
	require.NoError(t, w.Finish())
	_, err = VerifySnapshot(fsys, 4)
	assertCode(t, model.CodeCorrupt, err, "not in order")

	put2(whole)
	require.NoError(t, fsys.Rename(name, snapshotName(2)))
	_, err = VerifySnapshot(fsys, 2)
	assertCode(t, model.CodeCorrupt, err, "the state at 1")
	_, err = LoadSnapshot(fsys, 2, func([]Pair) error { return errBoom })
	assert.Equal(t, errBoom, err)
}

func splitBlocks(whole string) []string {
	var blocks []string
	for len(whole) > 0 {
		n := blockHeader + int(le.Uint32([]byte(whole[4:8])))
		blocks, whole = append(blocks, whole[:n]), whole[n:]
	}
	return blocks
}

func TestSnapshot_FailuresOfTheDiskAreCoded(t *testing.T) {
	for _, c := range []struct {
		rule FaultRule
		code model.Code
	}{
		{FaultRule{Op: FaultCreate}, model.CodeUnavailable},
		{FaultRule{Op: FaultWrite, NoSpace: true}, model.CodeClusterFull},
		{FaultRule{Op: FaultWrite, After: 1, NoSpace: true}, model.CodeClusterFull},
		{FaultRule{Op: FaultWrite, After: 2, ShortWrite: true}, model.CodeUnavailable},
		{FaultRule{Op: FaultSync}, model.CodeUnavailable},
		{FaultRule{Op: FaultRename}, model.CodeUnavailable},
		{FaultRule{Op: FaultSyncDir}, model.CodeUnavailable},
	} {
		fsys := NewFaultFS(NewMemFS(1), 1, c.rule)
		assertCode(t, c.code, takeSnapshot(fsys, 1, pairsOf(10)))
		assert.Equal(t, 1, fsys.Hits())
		fsys.Clear()
		require.NoError(t, takeSnapshot(fsys, 1, pairsOf(10)))
		fsys.Add(FaultRule{Op: FaultRead})
		_, err := VerifySnapshot(fsys, 1)
		assertCode(t, model.CodeUnavailable, err)
	}
}

func TestSnapshot_ThatAKilledProcessHadNamedIsDurableAfterTheNextStart(t *testing.T) {
	fsys := NewMemFS(1)
	d, err := openDataDir(fsys)
	require.NoError(t, err)
	before := fsys.Mutations()
	require.NoError(t, takeSnapshot(d.FS, 1, pairsOf(5)))
	last := fsys.Mutations() - before

	fsys = NewMemFS(1)
	_, err = openDataDir(fsys)
	require.NoError(t, err)
	fsys.CrashAfter(last, nil) // the sync of the directory
	require.Error(t, takeSnapshot(fsys, 1, pairsOf(5)))
	fsys = fsys.Crash(testRand(1), false)
	_, err = openDataDir(fsys)
	require.NoError(t, err)
	_, err = VerifySnapshot(fsys, 1)
	require.NoError(t, err, "the next start sees it")
	for seed := range uint64(20) {
		_, err = VerifySnapshot(fsys.Crash(testRand(seed), true), 1)
		assert.NoError(t, err, "and so it must stay, seed %d", seed)
	}
}

func TestSnapshots_SurviveACrashAnywhere(t *testing.T) {
	type acked struct{ taken, removing int }
	crashSuite{
		seeds: 12,
		scenario: func(fsys *MemFS) any {
			var a acked
			if fsys.MkdirAll(dirTmp) != nil {
				return a
			}
			for i := 1; i <= 4; i++ {
				if takeSnapshot(fsys, uint64(i), pairsOf(50*i), nil) != nil {
					return a
				}
				a.taken = i
				a.removing = i - 1
				if RemoveSnapshotsBelow(fsys, uint64(i-1)) != nil {
					return a
				}
			}
			return a
		},
		recover: func(fsys *MemFS) { _ = takeSnapshot(fsys, 5, pairsOf(250)) },
		check: func(t *testing.T, fsys *MemFS, v any) {
			a := v.(acked)
			indexes, err := ListSnapshots(fsys)
			require.NoError(t, err)
			for _, index := range indexes {
				pairs, _, err := loadSnapshot(fsys, index)
				require.NoError(t, err, "what has a name is whole")
				require.Equal(t, pairsOf(50*int(index)), pairs)
			}
			for i := max(1, a.removing); i <= a.taken; i++ {
				assert.Contains(t, indexes, uint64(i))
			}
		},
	}.run(t)
}

func FuzzSnapshotDecoder(f *testing.F) {
	fsys := NewMemFS(1)
	if err := takeSnapshot(fsys, 1, pairsOf(5), pairsOf(9)[5:]); err != nil {
		f.Fatal(err)
	}
	good, err := readFile(fsys, snapshotName(1), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{})
	for _, b := range splitBlocks(string(good)) {
		f.Add([]byte(b)[blockHeader:])
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		r := snapshotReader{window: newWindow(bytes.NewReader(p), int64(len(p))), hash: xxhash.New(), fn: func([]Pair) error { return nil }}
		_, _ = r.read()
		// And what stands behind the checksums.
		if pairs, raw, err := unpackChunk(p, nil); err == nil {
			var again []byte
			for _, pair := range pairs {
				again = appendPair(again, pair)
			}
			if len(again) > len(raw) {
				t.Fatal("the pairs are more than what was unpacked")
			}
		}
		if m, err := decodeSnapshotMeta(p); err == nil && !bytes.Equal(m.encode(), p) {
			t.Fatal("what was decoded does not encode to the same bytes")
		}
	})
}
