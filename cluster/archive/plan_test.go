package archive

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// checkpoint lists the parts of one, of so many.
func checkpoint(generation, index uint64, of uint32, parts ...uint32) (items []Item) {
	for _, part := range parts {
		items = append(items, Item{Kind: Checkpoint, Generation: generation, Index: index, Part: part, Of: of, Bytes: 100})
	}
	return items
}

func journal(generation, from, to uint64) Item {
	return Item{Kind: Journal, Generation: generation, From: from, To: to, Bytes: 10}
}

func together(lists ...[]Item) (items []Item) {
	for _, list := range lists {
		items = append(items, list...)
	}
	return items
}

func TestPath_IsReadBackAndNothingElseIs(t *testing.T) {
	for _, item := range []Item{
		{Kind: Checkpoint, Generation: 1, Index: 77, Part: 0, Of: 1}, {Kind: Checkpoint, Generation: 1 << 40, Index: 1<<40 + 5, Part: 3, Of: 9},
		{Kind: Journal, Generation: 2, From: 5, To: 5}, {Kind: Journal, Generation: 2, From: 1<<40 + 1, To: 1<<40 + 900},
	} {
		path := item.Path()
		assert.NoError(t, model.CheckPath(path))
		got, ok := Parse(path)
		assert.True(t, ok, path)
		assert.Equal(t, item, got)
	}
	for _, path := range []string{
		"", "/", "/journal/", "/journal/1-2", "/journal/1-2-3", "/checkpoint/1-2/0-1",
		"/journal/0000000000000001-0000000000000009-0000000000000008", "/journal/0000000000000001-0000000000000000-0000000000000008",
		"/checkpoint/0000000000000001-000000000000004d/00000001-00000001", "/checkpoint/0000000000000001-000000000000004D/00000000-00000001",
		"/other/0000000000000001-0000000000000001-0000000000000008",
	} {
		_, ok := Parse(path)
		assert.False(t, ok, path)
	}
}

func TestPlan_SaysWhatIsDue(t *testing.T) {
	whole := checkpoint(1, 100, 2, 0, 1)
	for _, c := range []struct {
		name string
		in   Input
		want Output
	}{
		{"nothing is there", Input{}, Output{Checkpoint: true}},
		{"a part is missing", Input{Items: checkpoint(1, 100, 2, 1)}, Output{Checkpoint: true}},
		{"and it is being written", Input{Items: checkpoint(1, 100, 2, 1), Under: 100}, Output{}},
		{"a checkpoint alone", Input{Items: whole}, Output{Newest: 100, Bytes: 200, Journaled: 100}},
		{"and a journal", Input{Items: together(whole, []Item{journal(1, 101, 120), journal(1, 121, 125)})}, Output{Newest: 100, Bytes: 200, Journaled: 125}},
		{"of another generation", Input{Items: together(whole, []Item{journal(2, 101, 120)})}, Output{Newest: 100, Bytes: 200, Journaled: 100}},
		{"with a gap", Input{Items: together(whole, []Item{journal(1, 102, 120)})}, Output{Newest: 100, Bytes: 200, Journaled: 100}},
		{"that overlaps", Input{Items: together(whole, []Item{journal(1, 90, 110), journal(1, 105, 120)})}, Output{Newest: 100, Bytes: 200, Journaled: 120}},
		{"many pieces", Input{Items: together(whole, []Item{journal(1, 101, 102), journal(1, 103, 104)}), Segments: 2}, Output{Newest: 100, Bytes: 200, Journaled: 104, Checkpoint: true}},
		{"many bytes", Input{Items: together(whole, []Item{{Kind: Journal, Generation: 1, From: 101, To: 102, Bytes: MinCheckpointBytes}})}, Output{Newest: 100, Bytes: 200, Journaled: 102, Checkpoint: true}},
		{"the log is gone", Input{Items: whole, Gone: 101}, Output{Newest: 100, Bytes: 200, Journaled: 100, Checkpoint: true}},
		{"the older checkpoint's journal ends before the newer one", Input{Items: together(whole, []Item{journal(1, 101, 120)}, checkpoint(1, 150, 1, 0))},
			Output{Newest: 150, Bytes: 100, Journaled: 120}},
		{"and cannot be made up for", Input{Items: together(whole, []Item{journal(1, 101, 120)}, checkpoint(1, 150, 1, 0)), Gone: 130}, Output{Newest: 150, Bytes: 100, Journaled: 150}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.Generation = 1
			got := Plan(c.in)
			got.Retire = nil
			assert.Equal(t, c.want, got)
		})
	}
	raised := Plan(Input{Generation: 2, Items: whole})
	assert.True(t, raised.Checkpoint, "a journal is not continued by another generation")
	assert.Empty(t, raised.Retire, "it is all there is")
}

func TestPlan_RetiresWhatTheNewestTwoCheckpointsDoNotNeed(t *testing.T) {
	first, second, third := checkpoint(1, 100, 1, 0), checkpoint(1, 200, 1, 0), checkpoint(1, 300, 2, 0, 1)
	segments := []Item{journal(1, 101, 150), journal(1, 151, 210), journal(1, 211, 310)}
	half := checkpoint(1, 400, 2, 1)
	items := together(first, second, third, segments, half)
	assert.Equal(t, together(first, segments[:1], half), Plan(Input{Generation: 1, Items: items}).Retire)
	assert.Equal(t, together(first, segments[:1]), Plan(Input{Generation: 1, Items: items, Under: 400}).Retire, "one is being written")
	assert.Empty(t, Plan(Input{Generation: 1, Items: together(segments, half)}).Retire, "without a complete one nothing goes")

	// A take-over: what the generation before had goes when there are two of the new one.
	old := together(second, third, segments)
	one := together(old, checkpoint(2, 350, 1, 0), []Item{journal(2, 351, 360)})
	assert.Equal(t, together(segments[:1], second, segments[1:2]), Plan(Input{Generation: 2, Items: one}).Retire)
	two := together(one, checkpoint(2, 380, 1, 0))
	assert.Equal(t, together(segments[:1], second, segments[1:2], third, segments[2:3]), Plan(Input{Generation: 2, Items: two}).Retire)
}

func TestCandidates_TheHighestGenerationThatGoesFurthestComesFirst(t *testing.T) {
	found := together(checkpoint(1, 500, 1, 0), checkpoint(2, 100, 1, 0), checkpoint(2, 200, 1, 0), checkpoint(2, 300, 2, 1),
		[]Item{journal(2, 101, 250), journal(2, 251, 260), journal(2, 301, 400), journal(1, 501, 900)})
	got := Candidates(found)
	assert.Equal(t, []Base{
		{Generation: 2, Index: 100, Of: 1, Segments: []Item{journal(2, 101, 250), journal(2, 251, 260)}, To: 260},
		{Generation: 2, Index: 200, Of: 1, Segments: []Item{journal(2, 101, 250), journal(2, 251, 260)}, To: 260},
		{Generation: 1, Index: 500, Of: 1, Segments: []Item{journal(1, 501, 900)}, To: 900},
	}, got, "the one at 300 lacks a part, and what follows it follows nothing")
	assert.Empty(t, Candidates(checkpoint(1, 100, 2, 0)))
}

func TestMatters_LeavesOutWhatTheArchiveItselfLogs(t *testing.T) {
	put := func(tenant string) *messages.Command {
		return &messages.Command{Kind: &messages.Command_PutFile{PutFile: &messages.PutFile{File: &messages.FileAttributes{Tenant: tenant}}}}
	}
	remove := func(tenant string) *messages.Command {
		return &messages.Command{Kind: &messages.Command_DeleteFile{DeleteFile: &messages.DeleteFile{Tenant: tenant}}}
	}
	for _, cmd := range []*messages.Command{put("default"), remove("default"), {Kind: &messages.Command_MoveFile{}}, {Kind: &messages.Command_SealVolume{}}, {Kind: &messages.Command_MoveExtents{}}} {
		assert.True(t, Matters(cmd), "%v", cmd)
	}
	for _, cmd := range []*messages.Command{nil, {}, put(model.SystemTenant), remove(model.SystemTenant), {Kind: &messages.Command_CheckStateHash{}}, {Kind: &messages.Command_UpdateJob{}}} {
		assert.False(t, Matters(cmd), "%v", cmd)
	}
}

func TestLostPath_IsUniqueAndNeverTheOldOne(t *testing.T) {
	assert.Equal(t, "/lost+found/3/models/a~7-32", LostPath(3, "/models/a", 7, 32, 0))
	assert.Equal(t, "/lost+found/3/models/a~7-64.part-2", LostPath(3, "/models/a", 7, 64, 2))
	long := "/"
	for len(long) < model.MaxPathBytes-3 {
		long += "ü"
	}
	for _, part := range []uint32{0, 1 << 31} {
		path := LostPath(1<<40, long, 1<<50, 1<<50, part)
		assert.NoError(t, model.CheckPath(path))
		assert.LessOrEqual(t, len(path), model.MaxPathBytes)
	}
	assert.Equal(t, map[string]string{"original-path": "/models/a", "part": "2"}, LostMeta("/models/a", 2))
}
