package watch

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Watch is some files and how they were when they were last looked at.
type Watch struct {
	paths []string
	last  string
}

// Files remembers how files are, so call it before they are read.
func Files(paths ...string) *Watch { return &Watch{paths: paths, last: look(paths)} }

// Run calls changed until ctx ends: whenever a file is not as it was, and for each word
// on now. It looks that often.
func (w *Watch) Run(ctx context.Context, every time.Duration, now <-chan os.Signal, changed func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-now:
			asked = true
		case <-tick.C:
		}
		// Before they are read: what changes meanwhile is seen the next time.
		if seen := look(w.paths); asked || seen != w.last {
			w.last = seen
			changed()
		}
	}
}

// look sums up what the files are, without reading them.
func look(paths []string) string {
	var b strings.Builder
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintf(&b, "%v\n", err)
			continue
		}
		inode := uint64(0)
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = st.Ino // a file that was swapped in may have an older time
		}
		fmt.Fprintf(&b, "%d %d %d\n", info.Size(), info.ModTime().UnixNano(), inode)
	}
	return b.String()
}
