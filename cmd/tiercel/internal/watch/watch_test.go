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
	run := watch.Files(ctx, time.Millisecond, now, []string{path}, func() { told.Add(1) })
	// Before it runs, and so before anybody could have read it again.
	require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
	go func() { defer close(ended); run() }()
	next := int64(0)
	expect := func(what string) {
		t.Helper()
		next++
		require.Eventually(t, func() bool { return told.Load() == next }, 5*time.Second, time.Millisecond, what)
	}
	expect("written between the first look and the first run")
	require.NoError(t, os.WriteFile(path, []byte("longer"+"!"), 0o600))
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
