package watch

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Files remembers how files are, so call it before they are read, and returns what calls
// changed until ctx ends: whenever a file is not as it was, and for each word on now.
func Files(ctx context.Context, every time.Duration, now <-chan os.Signal, paths []string, changed func()) (run func()) {
	last := look(paths)
	return func() {
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
			if seen := look(paths); asked || seen != last {
				last = seen
				changed()
			}
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
