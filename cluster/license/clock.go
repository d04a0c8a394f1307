package license

import (
	"time"

	"google.golang.org/protobuf/proto"

	"tiercel/messages"
)

// SeenAfter is the highest time of the log when a licence that was issued then is
// installed now. One that was issued after all before it tells the time anew: whoever
// signed it knew that the clock that was seen had been wrong. Any other cannot take back
// what was seen.
func SeenAfter(old *messages.LicenseRow, issuedMs, nowMs int64) int64 {
	if issuedMs > old.GetNewestIssuedUnixMs() {
		return max(nowMs, issuedMs)
	}
	return max(nowMs, old.GetSeenUnixMs())
}

// Newer reports whether a licence was issued after the present one.
func Newer(old, facts *messages.LicenseRow) bool {
	return old == nil || facts.GetIssuedUnixMs() > old.IssuedUnixMs
}

// Install lays the facts of a licence over the present row. changed is false for one that
// is no newer when only a newer one was wanted; expired says that it has ended by the
// highest time of the log: then nothing is installed.
func Install(old *messages.LicenseRow, set *messages.SetLicense, index uint64) (next *messages.LicenseRow, changed, expired bool) {
	facts := set.GetLicense()
	if set.GetIfNewer() && !Newer(old, facts) {
		return old, false, false
	}
	seen := SeenAfter(old, facts.IssuedUnixMs, set.AtUnixMs)
	if facts.ExpiresUnixMs <= seen {
		return old, false, true
	}
	next = proto.CloneOf(facts)
	next.InstalledAt, next.InstalledUnixMs, next.Expired = index, set.AtUnixMs, false
	next.SeenUnixMs, next.NewestIssuedUnixMs = seen, max(old.GetNewestIssuedUnixMs(), facts.IssuedUnixMs)
	return next, true, false
}

// Note is the row after the log was told what time it is; nil: nothing changes. Time
// only goes forward here.
func Note(old *messages.LicenseRow, nowMs int64) *messages.LicenseRow {
	if old == nil || nowMs <= old.SeenUnixMs {
		return nil
	}
	next := proto.CloneOf(old)
	next.SeenUnixMs = nowMs
	next.Expired = old.Expired || nowMs >= old.ExpiresUnixMs
	return next
}

// NoteDue reports whether the log should be told what time it is: the licence has ended,
// or it was not told for long.
func NoteDue(row *messages.LicenseRow, now time.Time) bool {
	if row == nil || row.Expired {
		return false
	}
	ms := now.UnixMilli()
	return ms > row.SeenUnixMs && (ms >= row.ExpiresUnixMs || ms-row.SeenUnixMs >= NoteEvery.Milliseconds())
}
