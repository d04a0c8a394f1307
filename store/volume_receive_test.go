package store

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"

	"tiercel/cluster/model"
)

// sealedSource is a whole copy of volume 5: its bytes and what they hold.
type sealedSource struct {
	bytes  []byte
	digest []byte
	recs   []Record
	placed []Placed
	beside bool // a copy is replaced by one that was fetched beside it
}

// newSource seals a volume that was reopened once, so that it has two generations.
func newSource(t *testing.T) *sealedSource {
	t.Helper()
	fsys := newVolumeFS(t)
	v := openVolumes(t, fsys)
	w, err := v.Create(1, 5, 1, 1)
	require.NoError(t, err)
	s := &sealedSource{recs: records(100, 5000, 10, 70_000)}
	s.placed = mustAppend(t, w, s.recs)
	w, err = v.Reopen(5, 2, 1, w.End())
	require.NoError(t, err)
	more := records(300, 9000)
	s.recs, s.placed = append(s.recs, more...), append(s.placed, mustAppend(t, w, more)...)
	end, err := v.Fence(5)
	require.NoError(t, err)
	s.digest, err = v.Seal(5, end)
	require.NoError(t, err)
	s.bytes, err = readFile(fsys, volName(1, 5), 1<<20)
	require.NoError(t, err)
	require.Len(t, s.bytes, int(end))
	return s
}

func newVolumeFS(t *testing.T) *MemFS {
	t.Helper()
	fsys := NewMemFS(1)
	require.NoError(t, fsys.MkdirAll(dirTmp))
	return fsys
}

func (s *sealedSource) end() uint64 { return uint64(len(s.bytes)) }

// settle does what a worker does for an order of replica generation 7, from
// whatever it finds.
func (s *sealedSource) settle(v *Volumes) error {
	state, here := v.State(5)
	anew := !here || state.Broken || state.Generation != 2
	if here && !anew && state.ReplicaGen < 7 {
		if err := v.Adopt(5, 2, 7); err != nil {
			return err
		}
	}
	if !anew {
		if _, err := v.Trim(5, s.end()); err != nil {
			return err
		}
		if err := s.fill(v); err != nil {
			return err
		}
		_, err := v.Settle(5, s.end(), s.digest, true)
		if model.CodeOf(err) != model.CodeCorrupt {
			return err
		}
	}
	state, here = v.State(5)
	if here && s.beside {
		return s.replace(v)
	}
	if here {
		if err := v.SetAside(5, state.ReplicaGen, "it has other bytes"); err != nil {
			return err
		}
	}
	if err := v.Receive(1, 5, 2, 7); err != nil {
		return err
	}
	if err := s.fill(v); err != nil {
		return err
	}
	_, err := v.Settle(5, s.end(), s.digest, false)
	return err
}

func (s *sealedSource) replace(v *Volumes) error {
	r, err := v.Replace(1, 5, 2, 7)
	if err != nil {
		return err
	}
	for at := uint64(DataStart); at < s.end(); at += 20_001 {
		if err := r.Fill(at, s.bytes[at:min(at+20_001, s.end())]); err != nil {
			return err
		}
	}
	_, err = r.Finish(s.digest, "it has other bytes")
	return err
}

// fill fetches what is missing, in pieces that end within records.
func (s *sealedSource) fill(v *Volumes) error {
	for {
		state, _ := v.State(5)
		if state.End >= s.end() {
			return nil
		}
		if err := v.Fill(5, state.End, s.bytes[state.End:min(state.End+20_001, s.end())]); err != nil {
			return err
		}
	}
}

// checkWhole: a copy that says it is sealed has exactly the bytes, and any other
// becomes whole by going on.
func (s *sealedSource) checkWhole(t *testing.T, fsys *MemFS) (after *MemFS) {
	t.Helper()
	v := openVolumes(t, fsys)
	if state, here := v.State(5); here && state.Sealed && state.ReplicaGen == 7 {
		s.checkBytes(t, fsys)
	}
	require.NoError(t, s.settle(v))
	s.checkBytes(t, fsys)
	after = fsys.Crash(testRand(1), true)
	v = openVolumes(t, after)
	state, _ := v.State(5)
	assert.True(t, state.Sealed && state.Fenced)
	assert.Empty(t, state.Damage)
	assert.EqualValues(t, 7, state.ReplicaGen)
	assert.Equal(t, s.end(), state.End)
	assertReadable(t, v, 5, s.recs, s.placed)
	return after
}

func (s *sealedSource) checkBytes(t *testing.T, fsys *MemFS) {
	t.Helper()
	got, err := readFile(fsys, volName(1, 5), 1<<20)
	require.NoError(t, err)
	equalBytes(t, s.bytes, got, "volume 5")
}

func TestReceive_SurvivesACrashAnywhere(t *testing.T) {
	s := newSource(t)
	crashSuite{
		seeds: 8,
		scenario: func(fsys *MemFS) any {
			if fsys.MkdirAll(dirTmp) != nil {
				return nil
			}
			if v, _, err := OpenVolumes(fsys, VolumeOptions{}); err == nil {
				_ = s.settle(v)
			}
			return nil
		},
		recover: func(fsys *MemFS) { _, _, _ = OpenVolumes(fsys, VolumeOptions{}) },
		check:   func(t *testing.T, fsys *MemFS, _ any) { s.checkWhole(t, fsys) },
	}.run(t)
}

// olderCopy leaves a copy of replica generation 3 with the first bytes of the source
// and, if it is other, with a byte that was not written so, sealed.
func (s *sealedSource) olderCopy(fsys *MemFS, bytes int, other bool) error {
	if err := fsys.MkdirAll(dirTmp); err != nil {
		return err
	}
	v, _, err := OpenVolumes(fsys, VolumeOptions{})
	if err != nil {
		return err
	}
	if err := v.Receive(1, 5, 2, 3); err != nil {
		return err
	}
	p := append([]byte(nil), s.bytes[DataStart:bytes]...)
	if other {
		p[200] ^= 1
	}
	if err := v.Fill(5, DataStart, p); err != nil {
		return err
	}
	if other {
		sum := xxh3.Hash128(append(append([]byte(nil), s.bytes[:DataStart]...), p...)).Bytes()
		_, err = v.Settle(5, uint64(bytes), sum[:], false)
	}
	return err
}

func TestAdopt_SurvivesACrashAnywhere(t *testing.T) {
	s := newSource(t)
	adopted := func(fsys *MemFS) any {
		if s.olderCopy(fsys, 40_000, false) != nil {
			return false
		}
		v, _, err := OpenVolumes(fsys, VolumeOptions{})
		if err != nil || v.Adopt(5, 2, 7) != nil {
			return false
		}
		_ = s.settle(v)
		return true
	}
	crashSuite{
		seeds: 8, scenario: adopted,
		recover: func(fsys *MemFS) { _, _, _ = OpenVolumes(fsys, VolumeOptions{}) },
		check: func(t *testing.T, fsys *MemFS, a any) {
			if a.(bool) { // a delayed delete names the old one
				assertCode(t, model.CodeConflict, openVolumes(t, fsys).Drop(5, 3), "replica generation 7")
			}
			s.checkWhole(t, fsys)
		},
	}.run(t)
}

func TestReplace_SurvivesACrashAnywhereAndKeepsTheOldCopy(t *testing.T) {
	for name, beside := range map[string]bool{"set aside first": false, "fetched beside it": true} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			s.beside = beside
			testReplace(t, s)
		})
	}
}

func testReplace(t *testing.T, s *sealedSource) {
	crashSuite{
		seeds: 8,
		scenario: func(fsys *MemFS) any {
			if s.olderCopy(fsys, len(s.bytes), true) != nil {
				return false
			}
			if v, _, err := OpenVolumes(fsys, VolumeOptions{}); err == nil {
				_ = s.settle(v)
			}
			return true
		},
		recover: func(fsys *MemFS) { _, _, _ = OpenVolumes(fsys, VolumeOptions{}) },
		check: func(t *testing.T, fsys *MemFS, began any) {
			fsys = s.checkWhole(t, fsys)
			if !began.(bool) {
				return
			}
			old := append([]byte(nil), s.bytes...)
			old[DataStart+200] ^= 1
			dir := asideDir(5, 1)
			got, err := readFile(fsys, path.Join(dir, "5.vol"), 1<<20)
			require.NoError(t, err)
			equalBytes(t, old, got, "what was set aside")
			for _, name := range []string{"5.meta", "reason.txt"} {
				_, err := fsys.Stat(path.Join(dir, name))
				assert.NoError(t, err, name)
			}
		},
	}.run(t)
}

func TestReplace_ThatIsNotWhatWasSealedChangesNothing(t *testing.T) {
	s := newSource(t)
	fsys := NewMemFS(3)
	require.NoError(t, s.olderCopy(fsys, len(s.bytes), true))
	v := openVolumes(t, fsys)
	for _, want := range [][]byte{s.digest, nil} {
		r, err := v.Replace(1, 5, 2, 7)
		require.NoError(t, err)
		p := append([]byte(nil), s.bytes[DataStart:]...)
		p[300] ^= 1
		require.NoError(t, r.Fill(DataStart, p))
		_, err = r.Finish(want, "a test")
		assertCode(t, model.CodeCorrupt, err)
	}
	r, err := v.Replace(1, 5, 2, 2)
	require.NoError(t, err)
	require.NoError(t, r.Fill(DataStart, s.bytes[DataStart:]))
	_, err = r.Finish(s.digest, "a test")
	assertCode(t, model.CodeConflict, err, "replica generation 3 by now")
	state, _ := v.State(5)
	assert.EqualValues(t, 3, state.ReplicaGen)
	assertReadable(t, v, 5, s.recs[2:], s.placed[2:])
	names, err := fsys.List(dirTmp)
	require.NoError(t, err)
	assert.Empty(t, names)
	s.beside = true
	s.checkWhole(t, fsys)
}

func TestDrop_SurvivesACrashAnywhere(t *testing.T) {
	s := newSource(t)
	crashSuite{
		seeds: 8,
		scenario: func(fsys *MemFS) any {
			if s.olderCopy(fsys, len(s.bytes), false) != nil {
				return ""
			}
			v, _, err := OpenVolumes(fsys, VolumeOptions{})
			if err != nil {
				return "there"
			}
			if v.Drop(5, 3) != nil {
				return "either"
			}
			return "gone"
		},
		recover: func(fsys *MemFS) { _, _, _ = OpenVolumes(fsys, VolumeOptions{}) },
		check: func(t *testing.T, fsys *MemFS, acked any) {
			v := openVolumes(t, fsys)
			state, here := v.State(5)
			assert.Empty(t, state.Damage)
			switch acked {
			case "there":
				assert.True(t, here)
			case "gone":
				assert.False(t, here)
			}
			if here && acked != "" {
				assert.Equal(t, s.end(), state.End)
			}
			require.NoError(t, v.Drop(5, state.ReplicaGen), "again, or for nothing")
			names, err := fsys.List(tierDir(1))
			require.NoError(t, err)
			if here || acked == "gone" {
				assert.Empty(t, names)
			}
			s.checkWhole(t, fsys)
		},
	}.run(t)
}

func TestDrop_TakesOnlyTheCopyThatWasNamed(t *testing.T) {
	fsys := newVolumeFS(t)
	v := openVolumes(t, fsys)
	w, err := v.Create(1, 5, 1, 3)
	require.NoError(t, err)
	rec := records(100)
	placed := mustAppend(t, w, rec)
	assertCode(t, model.CodeConflict, v.Drop(5, 2), "replica generation 3, not 2")
	assertCode(t, model.CodeConflict, v.Drop(5, 4), "it stays")
	assertCode(t, model.CodeConflict, v.Drop(5, 3), "takes appends")
	assertReadable(t, v, 5, rec, placed)
	_, err = v.Fence(5)
	require.NoError(t, err)
	fsys.SetCapacity(1) // deletes go on when the disk is full
	require.NoError(t, v.Drop(5, 3))
	_, err = v.ReadBody(5, placed[0].Offset, placed[0].RecordBytes, placed[0].HeaderCRC, 0, 1, nil)
	assertCode(t, model.CodeUnavailable, err, "not on this node")
	_, err = w.AppendBatch(rec, true)
	assertCode(t, model.CodeVolumeSealed, err)
	require.NoError(t, v.Drop(5, 3), "again")
	assert.Zero(t, v.Bytes())
}

func TestSetAsideCopy_TakesEveryFileOfADamagedVolume(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(fsys *MemFS)
	}{
		{"its meta is damaged", func(fsys *MemFS) { flipBit(t, fsys, metaName(1, 5), 20) }},
		{"its meta is gone", func(fsys *MemFS) { require.NoError(t, fsys.Remove(metaName(1, 5))) }},
		{"its bytes are gone", func(fsys *MemFS) { require.NoError(t, fsys.Remove(volName(1, 5))) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSource(t)
			fsys := NewMemFS(3)
			require.NoError(t, s.olderCopy(fsys, len(s.bytes), false))
			tc.spoil(fsys)
			v := openVolumes(t, fsys)
			state, _ := v.State(5)
			require.True(t, state.Broken)
			require.NoError(t, v.SetAside(5, state.ReplicaGen, "the disk of "+tc.name))
			require.False(t, v.Has(5))
			reason, err := readFile(fsys, path.Join(asideDir(5, 1), "reason.txt"), 1<<10)
			require.NoError(t, err)
			assert.Contains(t, string(reason), tc.name)
			s.checkWhole(t, fsys)
		})
	}
}

func TestReceive_AHalfReceivedCopyIsBehindAndNotCorrupt(t *testing.T) {
	s := newSource(t)
	fsys := NewMemFS(3)
	require.NoError(t, s.olderCopy(fsys, 40_000, false))
	v := openVolumes(t, fsys)
	state, _ := v.State(5)
	assert.True(t, state.Partial && state.Fenced && !state.Sealed)
	assert.Equal(t, s.placed[3].Offset, state.End, "after a restart it goes on behind its last intact record")
	last := s.placed[len(s.placed)-1]
	_, err := v.ReadBody(5, last.Offset, last.RecordBytes, last.HeaderCRC, 0, 1, nil)
	assertCode(t, model.CodeUnavailable, err, "behind")
	assertReadable(t, v, 5, s.recs[:3], s.placed[:3])
	_, err = v.Reopen(5, 2, 8, DataStart)
	assertCode(t, model.CodeConflict, err)
	_, err = v.Fence(5)
	require.NoError(t, err)
	_, err = v.Seal(5, DataStart)
	assertCode(t, model.CodeConflict, err, "being received")
}

func TestSettle_TakesNothingForWholeThatIsNot(t *testing.T) {
	s := newSource(t)
	boundary := s.placed[4].Offset
	fsys := NewMemFS(3)
	require.NoError(t, s.olderCopy(fsys, int(boundary), false))
	v := openVolumes(t, fsys)
	_, err := v.Trim(5, s.end())
	require.NoError(t, err)
	_, err = v.Settle(5, s.end(), nil, false)
	assertCode(t, model.CodeConflict, err, "cannot be sealed")
	_, err = v.Settle(5, boundary, s.digest, false)
	assertCode(t, model.CodeCorrupt, err, "other bytes")
	_, err = v.Settle(5, boundary-1, nil, false)
	assertCode(t, model.CodeCorrupt, err, "no record that ends")
	state, _ := v.State(5)
	assert.False(t, state.Sealed)
	require.NoError(t, s.settle(v))
}

func TestCheckCopy_FindsWhatIsNotAsItWasSealed(t *testing.T) {
	s := newSource(t)
	for _, tc := range []struct {
		name  string
		spoil func(fsys *MemFS)
		want  string
	}{
		{"nothing", func(*MemFS) {}, ""},
		{"a bit of a body", func(fsys *MemFS) { flipBit(t, fsys, volName(1, 5), int64(s.placed[1].Offset)+900) }, "volume 5 is damaged at byte"},
		{"a bit of the header", func(fsys *MemFS) { flipBit(t, fsys, volName(1, 5), 3) }, "not those that were sealed"},
		{"the end", func(fsys *MemFS) { cutFile(t, fsys, volName(1, 5), 3) }, "the file ends before"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fsys := newVolumeFS(t)
			v := openVolumes(t, fsys)
			require.NoError(t, s.settle(v))
			tc.spoil(fsys)
			cause := checkCopy(t, v)
			if tc.want == "" {
				assert.Empty(t, cause)
				return
			}
			assert.Contains(t, cause, tc.want)
			state, _ := v.State(5)
			assert.Equal(t, cause, state.Damage)
			if !strings.Contains(tc.name, "header") {
				state, _ = openVolumes(t, fsys.Crash(testRand(2), true)).State(5)
				assert.NotEmpty(t, state.Damage, "it is remembered")
			}
		})
	}
}

// checkCopy checks volume 5 in small pieces.
func checkCopy(t *testing.T, v *Volumes) string {
	t.Helper()
	c, err := v.OpenCheck(5)
	require.NoError(t, err)
	for done := false; !done; {
		_, done, err = c.Step(10_000)
		require.NoError(t, err)
	}
	cause, err := c.Finish(false)
	require.NoError(t, err)
	return cause
}

func TestCheckCopy_AReplacedCopyIsNotBlamed(t *testing.T) {
	s := newSource(t)
	fsys := newVolumeFS(t)
	v := openVolumes(t, fsys)
	require.NoError(t, s.settle(v))
	flipBit(t, fsys, volName(1, 5), 3000)
	c, err := v.OpenCheck(5)
	require.NoError(t, err)
	_, _, err = c.Step(1 << 20)
	require.NoError(t, err)
	require.NoError(t, v.SetAside(5, 7, "test"))
	require.NoError(t, s.settle(v))
	cause, err := c.Finish(false)
	require.NoError(t, err)
	assert.Empty(t, cause)
	state, _ := v.State(5)
	assert.Empty(t, state.Damage)
	assertReadable(t, v, 5, s.recs, s.placed)
}

func TestRead_OfOtherBytesMakesTheCopySuspect(t *testing.T) {
	s := newSource(t)
	fsys := newVolumeFS(t)
	v := openVolumes(t, fsys)
	require.NoError(t, s.settle(v))
	assertReadable(t, v, 5, s.recs, s.placed)
	assert.Empty(t, v.TakeSuspects())
	p := s.placed[0]
	flipBit(t, fsys, volName(1, 5), int64(p.Offset+p.RecordBytes)-1)
	_, err := v.ReadBody(5, p.Offset, p.RecordBytes, p.HeaderCRC, 0, p.BodyBytes, nil)
	assertCode(t, model.CodeCorrupt, err)
	assert.Equal(t, []model.VolumeID{5}, v.TakeSuspects())
	assert.Empty(t, v.TakeSuspects())
}

func TestDrop_AnErrorOfTheDiskDeletesNothingElseAndIsTriedAgain(t *testing.T) {
	for _, op := range []FaultOp{FaultRename, FaultSyncDir, FaultRemove} {
		for after := range 3 {
			s := newSource(t)
			mem := NewMemFS(3)
			require.NoError(t, s.olderCopy(mem, len(s.bytes), false))
			fsys := NewFaultFS(mem, 1)
			v, _, err := OpenVolumes(fsys, VolumeOptions{})
			require.NoError(t, err)
			w, err := v.Create(1, 6, 1, 1)
			require.NoError(t, err)
			rec := records(100)
			placed := mustAppend(t, w, rec)
			fsys.Add(FaultRule{Op: op, Match: "volumes/*", After: after, Times: 1})
			fsys.Add(FaultRule{Op: op, Match: "volumes/*/*", After: after, Times: 1})
			err = v.Drop(5, 3)
			if fsys.Hits() > 0 {
				assertCode(t, model.CodeUnavailable, err)
				assert.True(t, IsDiskFailure(err))
			}
			fsys.Clear()
			require.NoError(t, v.Drop(5, 3), "%s after %d", op, after)
			assertReadable(t, v, 6, rec, placed)
			names, err := fsys.List(tierDir(1))
			require.NoError(t, err)
			assert.Equal(t, []string{"6.meta", "6.vol"}, names)
			s.checkWhole(t, mem)
		}
	}
}

func TestProbeDisk_SaysWhetherTheDiskTakesWrites(t *testing.T) {
	mem := newVolumeFS(t)
	require.NoError(t, ProbeDisk(mem))
	for _, op := range []FaultOp{FaultCreate, FaultWrite, FaultSync, FaultRemove} {
		assert.True(t, IsDiskFailure(ProbeDisk(NewFaultFS(mem, 1, FaultRule{Op: op}))), op)
	}
	full := ProbeDisk(NewFaultFS(mem, 1, FaultRule{Op: FaultWrite, NoSpace: true}))
	assert.Error(t, full)
	assert.False(t, IsDiskFailure(full), "a full disk does not fail")
	require.NoError(t, ProbeDisk(mem), "what a failed one left is in nobody's way")
}
