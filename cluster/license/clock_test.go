package license

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func facts(id string, issued, expires int64) *messages.LicenseRow {
	return &messages.LicenseRow{Id: id, Customer: "c", Level: string(Enterprise), IssuedUnixMs: issued, ExpiresUnixMs: expires}
}

func set(l *messages.LicenseRow, at int64) *messages.SetLicense {
	return &messages.SetLicense{License: l, AtUnixMs: at}
}

func TestClock_ALicenceExpiresWhenTheLogIsToldSoAndStaysExpired(t *testing.T) {
	row, changed, expired := Install(nil, set(facts("a", 100, 1000), 150), 7)
	require.True(t, changed)
	require.False(t, expired)
	assert.Equal(t, Enterprise, Of(row).Level())
	assert.EqualValues(t, 7, row.InstalledAt)

	row = Note(row, 999)
	assert.Equal(t, Enterprise, Of(row).Level(), "a moment before the end")
	row = Note(row, 1000)
	assert.True(t, row.Expired)
	assert.Equal(t, Free, Of(row).Level())
	assert.EqualValues(t, 1, Of(row).MaxWorkers())
	assert.Nil(t, Note(row, 500), "time does not go back")
	assert.True(t, Note(row, 2000).Expired)
}

func TestClock_MovedBackRevivesNothing(t *testing.T) {
	row, _, _ := Install(nil, set(facts("a", 100, 1000), 150), 1)
	row = Note(row, 5000)
	same, changed, expired := Install(row, set(facts("a", 100, 1000), 200), 2)
	assert.False(t, changed)
	assert.True(t, expired, "the same again, by a clock that was moved back")
	assert.Equal(t, row, same)
	_, _, expired = Install(row, set(facts("older", 50, 3000), 200), 2)
	assert.True(t, expired, "an older one that had ended by the time that was seen")
	next, changed, _ := Install(row, set(facts("longer", 90, 9000), 200), 2)
	require.True(t, changed)
	assert.EqualValues(t, 5000, next.SeenUnixMs, "what was seen stays seen")
	assert.True(t, Note(next, 9000).Expired)
}

func TestClock_ThatWasWrongIsPutRightByALicenceIssuedLater(t *testing.T) {
	row, _, _ := Install(nil, set(facts("a", 100, 1000), 150), 1)
	row = Note(row, 1<<50) // a clock decades ahead
	require.True(t, row.Expired)
	next, changed, expired := Install(row, set(facts("b", 300, 2000), 310), 2)
	require.True(t, changed)
	require.False(t, expired)
	assert.EqualValues(t, 310, next.SeenUnixMs)
	assert.Equal(t, Enterprise, Of(next).Level())
	// It has told the time: the first one is older now, and cannot do that again.
	_, _, expired = Install(Note(next, 1500), set(facts("a", 100, 1000), 150), 3)
	assert.True(t, expired)
}

func TestInstall_OnlyANewerOneWhenThatIsAskedFor(t *testing.T) {
	row, _, _ := Install(nil, set(facts("a", 100, 1000), 150), 1)
	ifNewer := func(l *messages.LicenseRow) bool {
		_, changed, _ := Install(row, &messages.SetLicense{License: l, AtUnixMs: 200, IfNewer: true}, 2)
		return changed
	}
	assert.False(t, ifNewer(facts("a", 100, 1000)))
	assert.False(t, ifNewer(facts("b", 99, 9000)))
	assert.True(t, ifNewer(facts("b", 101, 1000)))
	_, changed, _ := Install(row, set(facts("b", 99, 9000), 200), 2)
	assert.True(t, changed, "an operator may install whatever is valid")
}

func TestNoteDue_HourlyAndAtTheEnd(t *testing.T) {
	row, _, _ := Install(nil, set(facts("a", 0, 10*time.Hour.Milliseconds()), 1), 1)
	at := func(d time.Duration) bool { return NoteDue(row, time.UnixMilli(d.Milliseconds())) }
	assert.False(t, at(time.Minute))
	assert.True(t, at(NoteEvery+time.Second))
	row = Note(row, (9*time.Hour + 30*time.Minute).Milliseconds())
	assert.False(t, at(9*time.Hour+59*time.Minute))
	assert.True(t, at(10*time.Hour))
	assert.False(t, at(time.Hour), "a clock that was moved back has nothing to tell")
	row = Note(row, 10*time.Hour.Milliseconds())
	assert.False(t, at(100*time.Hour), "an expired one is left alone")
	assert.False(t, NoteDue(nil, time.UnixMilli(1)))
}

func TestDescribe_WarnsBeforeTheEndAndSaysWhatRemainsAfterIt(t *testing.T) {
	day := 24 * time.Hour
	row, _, _ := Install(nil, set(facts("l-1", 0, 100*day.Milliseconds()), 1), 1)
	at := func(d time.Duration, workers int) *messages.LicenseInfo {
		return Describe(row, workers, time.UnixMilli(d.Milliseconds()))
	}

	quiet := at(50*day, 5)
	assert.Equal(t, "enterprise", quiet.Level)
	assert.Equal(t, StateActive, quiet.State)
	assert.Empty(t, quiet.Warnings)
	assert.Len(t, quiet.Features, len(table))
	require.Len(t, at(88*day, 5).Warnings, 1)
	assert.Contains(t, at(88*day, 5).Warnings[0], "expires on 1970-04-11T00:00:00Z, in 12 days")

	row = Note(row, 100*day.Milliseconds())
	after := at(101*day, 5)
	assert.Equal(t, "free", after.Level)
	assert.Equal(t, StateExpired, after.State)
	assert.EqualValues(t, 1, after.MaxWorkers)
	require.Len(t, after.Warnings, 4, "%v", after.Warnings)
	assert.Contains(t, after.Warnings[0], "expired on 1970-04-11T00:00:00Z: the cluster works at the level free. Reads, deletes, repair, drain")
	assert.Contains(t, after.Warnings[1], "5 data workers are there and the licence level free allows 1: they stay")
	assert.Contains(t, after.Warnings[2], "new volumes of tier 1 have one copy")
	assert.Contains(t, after.Warnings[3], "new volumes of tier 2 have one copy")

	alone := Describe(nil, 1, time.UnixMilli(0))
	assert.Equal(t, StateNone, alone.State)
	assert.Empty(t, alone.Warnings, "one node alone is complete without a licence")
}

func TestCountWorkers_ThoseThatLeftDoNotCount(t *testing.T) {
	rows := []*messages.WorkerRow{{State: messages.WorkerState_HEALTHY}, {State: messages.WorkerState_LEFT}, {State: messages.WorkerState_DECOMMISSIONED}}
	assert.Equal(t, 2, CountWorkers(rows))
	assert.Nil(t, Of(nil).DenyTier(model.TierRebuildable))
}
