package replication_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/replication"
	"tiercel/messages"
)

func TestStandingOf_TellsAVolumeThatNobodyCanReadNowFromOneThatNobodyEverWill(t *testing.T) {
	gap := func(r *messages.VolumeRow) { r.Lost = []*messages.LostRange{{From: 1, To: 2}} }
	open := func(r *messages.VolumeRow) { r.State = messages.VolumeState_OPEN }
	emptied := func(r *messages.VolumeRow) { r.State, r.LiveBytes = messages.VolumeState_RETIRING, 0 }
	stranded, lost := replication.Standing{Stranded: true}, replication.Standing{Lost: true}
	for _, c := range []struct {
		what string
		row  *messages.VolumeRow
		want replication.Standing
	}{
		{"a copy is here", volume(1, "away here"), replication.Standing{}},
		{"a copy is here, of a worker that struggles", volume(1, "away ill"), replication.Standing{}},
		{"the only copy is away", volume(1, "away"), stranded},
		{"its worker was given up and may come back all the same", volume(1, "gone"), stranded},
		{"of its worker nothing is known", volume(1, "new"), stranded},
		{"what is here was never checked", volume(1, "away here?"), stranded},
		{"what is here is damaged", volume(1, "away here!"), stranded},
		{"every copy is damaged", volume(1, "away! here!"), lost},
		{"nobody has one", volume(1, ""), lost},
		{"a part was lost, the rest is here", volume(1, "here", gap), lost},
		{"a part was lost, the rest is away", volume(1, "away", gap), replication.Standing{Stranded: true, Lost: true}},
		{"it grows: nobody has checked it", volume(1, "here?", open), replication.Standing{}},
		{"it grew where nobody answers now", volume(1, "away? gone?", open), stranded},
		{"nothing was written to it yet", volume(1, "away?", open, func(r *messages.VolumeRow) { r.CommittedEnd = 0 }), replication.Standing{}},
		{"a part was lost, and it grows", volume(1, "here?", open, gap), lost},
		{"nothing names what was in it", volume(1, "away", emptied), replication.Standing{}},
	} {
		states := map[string]messages.WorkerState{"here": healthy, "ill": degraded, "away": unreachable, "gone": decommissioned}
		got := replication.StandingOf(c.row, func(node string) messages.WorkerState { return states[node] })
		assert.Equal(t, c.want, got, c.what)
	}
}
