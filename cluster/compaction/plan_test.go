package compaction_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/compaction"
	"tiercel/messages"
)

const (
	open     = messages.VolumeState_OPEN
	sealed   = messages.VolumeState_SEALED
	retiring = messages.VolumeState_RETIRING
)

// volume is a row of tier 1 with one verified copy.
func volume(id uint64, state messages.VolumeState, end uint64, live int64) *messages.VolumeRow {
	return &messages.VolumeRow{
		Id: id, Tier: 1, State: state, Generation: 1, SealedEnd: end, LiveBytes: live,
		Members: []*messages.VolumeMember{{Node: "n-1", Verified: true}},
	}
}

// bad has one copy per letter: damaged, verified, not known to be whole, or begun by a job.
func bad(id uint64, live int64, copies string) *messages.VolumeRow {
	row := volume(id, sealed, 1000, live)
	row.Members = nil
	for _, c := range copies {
		m := &messages.VolumeMember{Node: "n", Damaged: c == '!', Verified: c == 'v'}
		if c == 'j' {
			m.Job = 7
		}
		row.Members = append(row.Members, m)
	}
	return row
}

func away(row *messages.VolumeRow) { row.State = retiring }

func with(row *messages.VolumeRow, change func(*messages.VolumeRow)) *messages.VolumeRow {
	change(row)
	return row
}

func TestPlan_ChoosesWhatIsWorthIt(t *testing.T) {
	merging := &messages.Settings{CompactDeadShare: 0.5, MergeBelowBytes: 100}
	for name, c := range map[string]struct {
		rows     []*messages.VolumeRow
		settings *messages.Settings
		want     []uint64
		blockers int
	}{
		"an open volume is left alone": {rows: []*messages.VolumeRow{volume(1, open, 0, 0)}},
		"nothing names it":             {rows: []*messages.VolumeRow{volume(1, sealed, 1000, 0), volume(2, sealed, 0, 0)}, want: []uint64{1, 2}},
		"nothing names it, with no copy at all": {rows: []*messages.VolumeRow{
			with(volume(1, sealed, 1000, 0), func(v *messages.VolumeRow) { v.Members = nil; v.Lost = []*messages.LostRange{{To: 9}} })}, want: []uint64{1}},
		"by default a third must be dead, the deadest goes first": {rows: []*messages.VolumeRow{
			volume(1, open, 0, 5), volume(2, sealed, 1000, 701), volume(3, sealed, 1000, 699), volume(4, sealed, 1000, 10)}, want: []uint64{4, 3}},
		"exactly the share":   {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 1000, 500)}, settings: merging, want: []uint64{2}},
		"less than the share": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 1000, 501)}, settings: merging},
		"never, by the settings": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 1000, 1)},
			settings: &messages.Settings{}},
		"what is retiring already is not chosen": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, retiring, 1000, 1), volume(3, retiring, 10, 0)}},
		"a few at a time": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, retiring, 10, 1), volume(3, retiring, 10, 1),
			volume(4, sealed, 100, 3), volume(5, sealed, 100, 2), volume(6, sealed, 100, 1)}, want: []uint64{6, 5}},
		"not too many bytes": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 20<<30, 3<<30), volume(3, sealed, 20<<30, 2<<30)}, want: []uint64{3}},
		"a large one alone":  {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 20<<30, 9<<30)}, want: []uint64{2}},
		"no verified copy": {rows: []*messages.VolumeRow{volume(1, open, 0, 5),
			with(volume(2, sealed, 1000, 1), func(v *messages.VolumeRow) { v.Members[0].Verified = false })}, blockers: 1},
		"each copy is damaged":                  {rows: []*messages.VolumeRow{volume(1, open, 0, 5), bad(2, 999, "!!")}, want: []uint64{2}},
		"also with a copy that a job has begun": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), bad(2, 999, "!j")}, want: []uint64{2}},
		"one is good":                           {rows: []*messages.VolumeRow{volume(1, open, 0, 5), bad(2, 999, "!v")}},
		"one may be, when its worker is back":   {rows: []*messages.VolumeRow{volume(1, open, 0, 5), bad(2, 999, "!?")}},
		"damaged, and nowhere to go":            {rows: []*messages.VolumeRow{bad(2, 999, "!")}, blockers: 1},
		"a damaged one is not merged": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(3, retiring, 9, 9), volume(4, retiring, 9, 9),
			with(bad(2, 40, "!"), func(v *messages.VolumeRow) { v.SealedEnd = 50 }), volume(5, sealed, 50, 45), volume(6, sealed, 50, 45)}, settings: merging, want: []uint64{2, 5, 6}},
		"what cannot be read keeps nobody else": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), with(bad(2, 9, "!"), away), with(bad(3, 9, "!"), away),
			with(bad(4, 9, "!"), away), with(bad(5, 9, "!"), away), volume(6, sealed, 1000, 10)}, want: []uint64{6}},
		"a lost range": {rows: []*messages.VolumeRow{volume(1, open, 0, 5),
			with(volume(2, sealed, 1000, 1), func(v *messages.VolumeRow) { v.Lost = []*messages.LostRange{{From: 1, To: 2}} })}, blockers: 1},
		"nowhere to go": {rows: []*messages.VolumeRow{with(volume(1, open, 0, 5), func(v *messages.VolumeRow) { v.Tier = 2 }), volume(2, sealed, 1000, 1)}, blockers: 1},
		"two small ones are merged": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 99, 90), volume(3, sealed, 50, 45), volume(4, sealed, 100, 99)},
			settings: merging, want: []uint64{3, 2}},
		"one small one stays": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 99, 90)}, settings: merging},
		"small ones of two tiers stay": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 99, 90),
			with(volume(3, sealed, 99, 90), func(v *messages.VolumeRow) { v.Tier = 2 }), with(volume(4, open, 0, 5), func(v *messages.VolumeRow) { v.Tier = 2 })}, settings: merging},
		"nothing is merged by default": {rows: []*messages.VolumeRow{volume(1, open, 0, 5), volume(2, sealed, 99, 90), volume(3, sealed, 50, 45)}},
	} {
		t.Run(name, func(t *testing.T) {
			choices, blockers := compaction.Plan(c.rows, c.settings)
			var got []uint64
			for _, chosen := range choices {
				got = append(got, chosen.Volume)
				assert.NotEmpty(t, chosen.Cause)
			}
			assert.Equal(t, c.want, got)
			assert.Len(t, blockers, c.blockers)
		})
	}
}

func TestPlan_EmptiesABoundedNumberOfDamagedVolumes(t *testing.T) {
	rows := []*messages.VolumeRow{volume(1, open, 0, 5), with(bad(2, 9, "!"), away)}
	for id := range uint64(2 * compaction.MaxSalvage) {
		rows = append(rows, bad(id+10, 9, "!"))
	}
	choices, _ := compaction.Plan(rows, nil)
	assert.Len(t, choices, compaction.MaxSalvage-1)
}

func TestPlan_GivesUpABoundedNumberOfEmptyVolumes(t *testing.T) {
	var rows []*messages.VolumeRow
	for id := range uint64(3 * compaction.MaxDead) {
		rows = append(rows, volume(id+1, sealed, 10, 0))
	}
	choices, _ := compaction.Plan(rows, nil)
	assert.Len(t, choices, compaction.MaxDead)
}
