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
		"only a damaged copy": {rows: []*messages.VolumeRow{volume(1, open, 0, 5),
			with(volume(2, sealed, 1000, 1), func(v *messages.VolumeRow) { v.Members[0].Damaged = true })}, blockers: 1},
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

func TestPlan_GivesUpABoundedNumberOfEmptyVolumes(t *testing.T) {
	var rows []*messages.VolumeRow
	for id := range uint64(3 * compaction.MaxDead) {
		rows = append(rows, volume(id+1, sealed, 10, 0))
	}
	choices, _ := compaction.Plan(rows, nil)
	assert.Len(t, choices, compaction.MaxDead)
}
