package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/watch"
)

func TestFiles_NoticesWhatIsWrittenSwappedRemovedOrAskedFor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(path, []byte("one"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	var told atomic.Int64
	now, ended := make(chan os.Signal, 1), make(chan struct{})
	files := watch.Files(path)
	// Before it runs, and so before anybody could have read it again.
	require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
	go func() {
		defer close(ended)
		files.Run(ctx, time.Millisecond, now, func() { told.Add(1) })
	}()
	next := int64(0)
	expect := func(what string) {
		t.Helper()
		next++
		require.Eventually(t, func() bool { return told.Load() >= next }, time.Minute, time.Millisecond, what)
		next = told.Load() // a look in the middle of a write sees two changes
	}
	expect("written between the first look and the first run")
	// In one step: emptied and then filled would be two changes.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("!")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	expect("written")
	swap := filepath.Join(dir, "g")
	require.NoError(t, os.WriteFile(swap, []byte("swapped"), 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Chtimes(swap, info.ModTime(), info.ModTime()))
	require.NoError(t, os.Rename(swap, path))
	expect("swapped for one of the same size and time")
	require.NoError(t, os.Remove(path))
	expect("removed")
	now <- os.Interrupt
	expect("asked for")
	cancel()
	<-ended
	assert.Equal(t, next, told.Load(), "nothing was told twice")
}
