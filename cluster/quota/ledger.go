package quota

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"tiercel/cluster/model"
)

const (
	// Lease is how long a hold lives without being heard of: longer than any write
	// waits for its next piece. What ends in the ordinary way is released at once.
	Lease = 5 * time.Minute
	// MaxHolds bounds the writes under way for which something is reserved.
	MaxHolds = 1 << 17
)

// Key names a write: a gateway's session and its number there. All parts of an upload
// are one write.
type Key struct{ Session, Write uint64 }

// Account is how a tenant stands in the catalog.
type Account struct {
	Limited    bool
	LimitBytes int64
	UsedBytes  int64
}

// Ask is the question whether a write may go on.
type Ask struct {
	Key       Key
	Tenant    string
	MoreBytes int64  // by which the write raises the usage, in all; 0 or less: it does not
	Upload    uint64 // id in the log of what it has staged, 0: nothing yet
}

// Ledger knows what is reserved. The zero value is not ready: NewLedger.
type Ledger struct {
	holds    map[Key]hold
	uploads  map[uint64]staged // of the time before this ledger
	reserved map[string]int64  // by tenant: the sum of both
}

type hold struct {
	tenant string
	bytes  int64
	heard  time.Time
}

type staged struct {
	tenant string
	bytes  int64
}

// NewLedger makes one without reservations.
func NewLedger() *Ledger {
	return &Ledger{holds: make(map[Key]hold), uploads: make(map[uint64]staged), reserved: make(map[string]int64)}
}

// Inherit reserves what an upload has staged under an earlier master. Its gateway's
// next word of it takes over from there.
func (l *Ledger) Inherit(upload uint64, tenant string, bytes int64) {
	l.forget(upload)
	l.uploads[upload] = staged{tenant, bytes}
	l.add(tenant, bytes)
}

// Reserve sets aside what a write needs in all, in place of what was set aside for it
// before, and reports whether there is a hold now. The refusal is quota_exceeded with
// all figures, or overloaded; a write that was refused has no hold.
func (l *Ledger) Reserve(a Account, ask Ask, now time.Time) (held bool, refusal error) {
	if ask.Upload != 0 {
		l.forget(ask.Upload)
	}
	l.Release(ask.Key)
	if !a.Limited || ask.MoreBytes <= 0 {
		return false, nil
	}
	reserved := l.reserved[ask.Tenant]
	if a.UsedBytes+reserved > a.LimitBytes-ask.MoreBytes {
		return false, refuse(a, ask, reserved)
	}
	if len(l.holds) >= MaxHolds {
		return false, model.Errorf(model.CodeOverloaded, "reserve", "%d writes of tenants with limits are under way; try again", len(l.holds))
	}
	l.holds[ask.Key] = hold{tenant: ask.Tenant, bytes: ask.MoreBytes, heard: now}
	l.add(ask.Tenant, ask.MoreBytes)
	return true, nil
}

func refuse(a Account, ask Ask, reserved int64) error {
	return model.Errorf(model.CodeQuotaExceeded, "reserve",
		"tenant %s uses %d of %d bytes, %d more are reserved for writes under way, and this one asks for %d; delete files or have the limit raised",
		ask.Tenant, a.UsedBytes, a.LimitBytes, reserved, ask.MoreBytes).
		With("tenant", ask.Tenant).With("limit_bytes", decimal(a.LimitBytes)).With("used_bytes", decimal(a.UsedBytes)).
		With("reserved_bytes", decimal(reserved)).With("asked_bytes", decimal(ask.MoreBytes))
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// Release ends a write's hold, if it has one. Once a write is committed its bytes are
// in the usage: the hold must end before the usage is looked at again, or they count twice.
func (l *Ledger) Release(key Key) {
	if h, ok := l.holds[key]; ok {
		delete(l.holds, key)
		l.add(h.tenant, -h.bytes)
	}
}

// Settled notes that an upload of the log was committed or given up.
func (l *Ledger) Settled(upload uint64) { l.forget(upload) }

func (l *Ledger) forget(upload uint64) {
	if s, ok := l.uploads[upload]; ok {
		delete(l.uploads, upload)
		l.add(s.tenant, -s.bytes)
	}
}

func (l *Ledger) add(tenant string, bytes int64) {
	if l.reserved[tenant] += bytes; l.reserved[tenant] == 0 {
		delete(l.reserved, tenant)
	}
}

// Reserved is what is set aside for a tenant's writes under way.
func (l *Ledger) Reserved(tenant string) int64 { return l.reserved[tenant] }

// Expire ends the holds that were not heard of for their lease.
func (l *Ledger) Expire(now time.Time) (ended int) {
	return l.drop(func(_ Key, h hold) bool { return now.Sub(h.heard) >= Lease })
}

// SessionGone ends the holds of a session that has ended.
func (l *Ledger) SessionGone(session uint64) (ended int) {
	return l.drop(func(k Key, _ hold) bool { return k.Session == session })
}

func (l *Ledger) drop(which func(Key, hold) bool) (ended int) {
	before := len(l.holds)
	for key, h := range l.holds { // sums: the order does not matter
		if which(key, h) {
			l.Release(key)
		}
	}
	return before - len(l.holds)
}

// Sessions are those with holds, ascending.
func (l *Ledger) Sessions() []uint64 {
	found := make(map[uint64]bool)
	for key := range l.holds {
		found[key.Session] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// Uploads are those that were inherited and not heard of since, ascending.
func (l *Ledger) Uploads() []uint64 { return slices.Sorted(maps.Keys(l.uploads)) }
