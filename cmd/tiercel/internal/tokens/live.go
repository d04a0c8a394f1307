package tokens

import (
	"sync/atomic"
	"time"

	"tiercel/cluster/access"
	"tiercel/cluster/model"
)

// Live is a token file as it was last read and could be used. It is for any goroutine.
type Live struct {
	path    string
	table   atomic.Pointer[access.Table]
	problem atomic.Pointer[string]
}

// Open reads the file; the error is Problems.
func Open(path string) (*Live, error) {
	l := &Live{path: path}
	_, err := l.Reload()
	return l, err
}

// Reload reads the file again and says what it changed. On an error the tokens that were
// in force stay. One at a time.
func (l *Live) Reload() (access.Changes, error) {
	table, err := Read(l.path)
	if err != nil {
		text := err.Error()
		l.problem.Store(&text)
		return access.Changes{}, err
	}
	before := l.table.Load()
	l.table.Store(table)
	l.problem.Store(nil)
	return access.ChangesBetween(before, table), nil
}

// Identify implements httpapi.Tokens.
func (l *Live) Identify(secret string, now time.Time) (*model.Principal, error) {
	return l.table.Load().Identify(secret, now)
}

// Warnings says what an operator should know of the tokens in force.
func (l *Live) Warnings() []string {
	if p := l.problem.Load(); p != nil {
		return []string{"the token file on disk cannot be used, and the tokens read before are in force: " + *p}
	}
	return nil
}
