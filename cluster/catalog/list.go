package catalog

import (
	"strings"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// List returns one page of the files of a tenant whose paths begin with
// prefix. With a delimiter, files whose path has it after the prefix are rolled
// up: of each such group only the path up to and with the delimiter is returned,
// in prefixes. Files (by path) and prefixes together form one sequence in byte
// order; the page holds those behind `after`, at most limit of them (1 to
// model.MaxListLimit; anything else is the most), and next is the last one if
// there are more, to be passed as `after`; empty at the end.
//
// A page costs what it returns: a rolled-up group is passed over by one seek,
// however many files it has.
func (c *Catalog) List(tenant, prefix, delimiter, after string, limit int) (files []*messages.ListedFile, prefixes []string, next string) {
	if limit <= 0 || limit > model.MaxListLimit {
		limit = model.MaxListLimit
	}
	l := lister{
		c:         c,
		root:      fileKey(tenant, ""),
		prefix:    prefix,
		delimiter: delimiter,
		room:      limit,
	}
	from, more := prefix, true
	if after >= prefix && after != "" {
		from, more = l.behind(after)
	}
	for more {
		from, more = l.run(from)
	}
	return l.files, l.prefixes, l.next
}

// lister gathers one page.
type lister struct {
	c         *Catalog
	root      string // of the tenant's file keys
	prefix    string
	delimiter string
	room      int

	files    []*messages.ListedFile
	prefixes []string
	last     string // what was taken last
	next     string
}

// behind is where the walk goes on after an entry: behind the whole group if it
// is one, or lies in one. ok is false when nothing can follow.
func (l *lister) behind(entry string) (from string, ok bool) {
	if group := l.group(entry); group != "" {
		return successor(group)
	}
	return entry + "\x00", true
}

// group is the rolled-up prefix that a path falls under, or empty.
func (l *lister) group(path string) string {
	rest, ok := strings.CutPrefix(path, l.prefix)
	if !ok || l.delimiter == "" {
		return ""
	}
	i := strings.Index(rest, l.delimiter)
	if i < 0 {
		return ""
	}
	return path[:len(l.prefix)+i+len(l.delimiter)]
}

// run takes files from a path on, until the page is full, nothing is left, or a
// group begins. more asks to run again from `again`, behind the group.
func (l *lister) run(from string) (again string, more bool) {
	l.c.ix.Ascend(l.root+from, func(key, value string) bool {
		path, ok := strings.CutPrefix(key, l.root)
		if !ok || !strings.HasPrefix(path, l.prefix) {
			return false
		}
		if l.room == 0 {
			l.next = l.last
			return false
		}
		l.room--
		group := l.group(path)
		if group != "" {
			l.last = group
			l.prefixes = append(l.prefixes, group)
			again, more = successor(group)
			return false
		}
		l.last = path
		row := &messages.FileRow{}
		if !l.c.decode(key, value, row) {
			return false
		}
		l.files = append(l.files, &messages.ListedFile{Path: path, Row: row})
		return true
	})
	return again, more
}

// successor is the least string above every string that begins with s; not ok
// when there is none.
func successor(s string) (next string, ok bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < 0xff {
			return s[:i] + string([]byte{s[i] + 1}), true
		}
	}
	return "", false
}
