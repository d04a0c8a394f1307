package master

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// unreadFile is a file of which a piece can be read from no copy.
type unreadFile struct {
	version uint64
	name    string
	at      time.Time // when the compactor has last tried
}

const (
	// unreadFor is longer than the compactor rests between two passes: what it has not met
	// again by then was deleted, or stored again.
	unreadFor = 3 * time.Minute
	// maxUnread files of a volume are named.
	maxUnread = 8
	// maxNamedBytes of a path stand in a job; the log takes no more than 1 KiB for a line.
	maxNamedBytes = 700
)

// onFileUnread notes a file that nobody can read, so that the job names it.
func (f *Foreman) onFileUnread(ctx *runtime.Context, m *messages.FileUnread) {
	found := unreadFile{m.Version, strings.ToValidUTF8(m.Path[:min(len(m.Path), maxNamedBytes)], "") + " of tenant " + m.Tenant, ctx.Now()}
	list := f.unread[m.Volume]
	if i := slices.IndexFunc(list, func(u unreadFile) bool { return u.version == m.Version }); i >= 0 {
		list[i] = found
	} else if len(list) <= maxUnread {
		f.unread[m.Volume] = append(list, found)
	}
}

// unreadIn names the files in a volume that cannot be read, for the job.
func (f *Foreman) unreadIn(volume uint64) (lines []string) {
	for i, u := range f.unread[volume] {
		if i == maxUnread {
			lines = append(lines, fmt.Sprintf("no copy can be read of other files in volume %d", volume))
			break
		}
		lines = append(lines, "no copy can be read of "+u.name)
	}
	return lines
}

func (f *Foreman) forgetUnread(now time.Time) {
	for volume, list := range f.unread {
		list = slices.DeleteFunc(list, func(u unreadFile) bool { return now.Sub(u.at) > unreadFor })
		if f.unread[volume] = list; f.rows[volume] == nil || len(list) == 0 {
			delete(f.unread, volume)
		}
	}
}
