package fsck

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/store"
)

func TestOverlay_ShowsChangesAndKeepsThemFromTheDisk(t *testing.T) {
	below := store.NewMemFS(1)
	require.NoError(t, below.MkdirAll("d"))
	for _, name := range []string{"d/a", "d/b", "d/c"} {
		f, err := below.Create(name)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte(name), 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	before := contents(t, below)
	o := newOverlay(below)

	_, err := o.Create("d/a")
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = o.Create("nowhere/a")
	require.ErrorIs(t, err, fs.ErrNotExist)

	f, err := o.Open("d/a") // changed
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("D"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(2))
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.NoError(t, o.Remove("d/b")) // removed
	require.ErrorIs(t, o.Remove("d/b"), fs.ErrNotExist)
	require.NoError(t, o.Rename("d/c", "d/e")) // renamed
	require.NoError(t, o.MkdirAll("new"))
	f, err = o.Create("new/f") // made
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, o.Rename("new/f", "d/b")) // and put where one was removed

	names, err := o.List("d")
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "e"}, names)
	assert.Equal(t, "D/", string(read(t, o, "d/a")))
	assert.Empty(t, read(t, o, "d/b"))
	assert.Equal(t, "d/c", string(read(t, o, "d/e")))
	_, err = o.Stat("d/c")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = o.Open("d/c")
	require.ErrorIs(t, err, fs.ErrNotExist)
	info, err := o.Stat("d/a")
	require.NoError(t, err)
	assert.Equal(t, int64(2), info.Size)
	names, err = o.List(".")
	require.NoError(t, err)
	assert.Equal(t, []string{"d/", "new/"}, names)
	_, err = o.List("nowhere")
	require.ErrorIs(t, err, fs.ErrNotExist)

	assert.Equal(t, before, contents(t, below))
}
