package store

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func TestArchive_IsReadBackWholeOrNotAtAll(t *testing.T) {
	for _, raw := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("an entry, "), 10_000)} {
		packed := PackArchive(raw)
		got, err := UnpackArchive(packed)
		require.NoError(t, err)
		assert.Equal(t, len(raw), len(got))
		assert.True(t, bytes.Equal(raw, got))
		for at := range min(len(packed), 64) {
			bad := bytes.Clone(packed)
			bad[at] ^= 1
			if got, err := UnpackArchive(bad); err == nil {
				assert.True(t, bytes.Equal(raw, got), "byte %d", at) // a form of the same content
			} else {
				assert.Equal(t, model.CodeCorrupt, model.CodeOf(err))
			}
		}
		_, err = UnpackArchive(packed[:len(packed)-1])
		assert.Equal(t, model.CodeCorrupt, model.CodeOf(err))
	}
}

func FuzzUnpackArchive(f *testing.F) {
	f.Add(PackArchive([]byte("content")))
	f.Add([]byte("TCJ1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := UnpackArchive(data)
		if err == nil {
			assert.LessOrEqual(t, len(raw), maxArchiveBytes)
		}
	})
}

func TestWalk_SeesEveryHeaderFromABoundaryOnAndPassesOverWhatIsNone(t *testing.T) {
	fsys := NewMemFS(1)
	v := openVolumes(t, fsys)
	w, err := v.Create(model.TierCritical, 1, 1, 10)
	require.NoError(t, err)
	recs := records(100, 200_000, 300, 70_000)
	placed := mustAppend(t, w, recs)
	walk := func(from uint64) (offsets []uint64) {
		require.NoError(t, v.Walk(1, from, func(rec Record, at Placed) error {
			assert.Nil(t, rec.Body)
			assert.Equal(t, recs[0].Tenant, rec.Tenant)
			offsets = append(offsets, at.Offset)
			return nil
		}))
		return offsets
	}
	all := []uint64{placed[0].Offset, placed[1].Offset, placed[2].Offset, placed[3].Offset}
	assert.Equal(t, all, walk(0))
	assert.Equal(t, all[2:], walk(placed[2].Offset))
	f, err := fsys.Open(volName(model.TierCritical, 1))
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{0}, int64(placed[1].Offset)) // its magic
	require.NoError(t, err)
	assert.Equal(t, []uint64{all[0], all[2], all[3]}, walk(0))
	assert.Error(t, v.Walk(2, 0, nil))
}

func TestSetLogAside_MovesLogAndSnapshotsEachTimeToAPlaceOfItsOwn(t *testing.T) {
	fsys := NewMemFS(1)
	dir, err := OpenDataDir(fsys, bytes.NewReader(bytes.Repeat([]byte{7}, 256)), false)
	require.NoError(t, err)
	target, err := dir.SetLogAside("recovered-2", "a test")
	require.NoError(t, err)
	assert.Empty(t, target, "there is nothing to move")
	for n, want := range []string{"quarantine/recovered-2", "quarantine/recovered-2.2"} {
		for _, name := range []string{"log/0001.wal", "snapshots/1.snap"} {
			f, err := fsys.Create(name)
			require.NoError(t, err)
			_, err = f.WriteAt([]byte{byte(n)}, 0)
			require.NoError(t, err)
			require.NoError(t, f.Sync())
			require.NoError(t, f.Close())
		}
		target, err := dir.SetLogAside("recovered-2", "a test")
		require.NoError(t, err)
		assert.Equal(t, want, target)
		for _, name := range []string{"/log/0001.wal", "/snapshots/1.snap"} {
			content, err := readFile(fsys, want+name, 10)
			require.NoError(t, err)
			assert.Equal(t, []byte{byte(n)}, content, "what the first left is not touched by the second")
		}
		for _, name := range []string{"/node.yaml", "/reason.txt"} {
			_, err := fsys.Stat(want + name)
			assert.NoError(t, err)
		}
	}
}
