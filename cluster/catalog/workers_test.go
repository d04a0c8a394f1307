package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func register(node string, change func(*messages.WorkerRow)) *messages.Command {
	row := &messages.WorkerRow{Address: node + ":1", Incarnation: 1, RaftId: uint64(len(node)) * 1000, MaxClusterVersion: 1}
	if change != nil {
		change(row)
	}
	return &messages.Command{Kind: &messages.Command_RegisterWorker{RegisterWorker: &messages.RegisterWorker{Node: node, Worker: row}}}
}

func transition(node string, from, to messages.WorkerState, missed uint32) *messages.Command {
	return &messages.Command{Kind: &messages.Command_ChangeWorkerState{ChangeWorkerState: &messages.ChangeWorkerState{
		Node: node, From: from, To: to, Missed: missed, Cause: "a test",
	}}}
}

func remove(node string, forced bool) *messages.Command {
	return &messages.Command{Kind: &messages.Command_RemoveWorker{RemoveWorker: &messages.RemoveWorker{Node: node, Forced: forced}}}
}

func verify(volume uint64, node string, replicaGen uint64, digest string) *messages.Command {
	return &messages.Command{Kind: &messages.Command_VerifyMember{VerifyMember: &messages.VerifyMember{
		Volume: volume, Generation: 1, Node: node, ReplicaGen: replicaGen, Digest: []byte(digest),
	}}}
}

func (r *rig) worker(node string) *messages.WorkerRow {
	nodes, rows := r.c.Workers()
	for i, n := range nodes {
		if n == node {
			return rows[i]
		}
	}
	return nil
}

func TestRegisterWorker_KeepsHealthAndRefusesStrangers(t *testing.T) {
	r := newRig(t)
	r.mustDo(register("w-a", nil))
	assert.Equal(t, messages.WorkerState_HEALTHY, r.worker("w-a").State)
	r.mustDo(transition("w-a", messages.WorkerState_HEALTHY, messages.WorkerState_DEGRADED, 3))
	r.mustDo(register("w-a", func(w *messages.WorkerRow) { w.Incarnation = 2; w.Address = "elsewhere:1" }))
	assert.Equal(t, messages.WorkerState_DEGRADED, r.worker("w-a").State, "a restart heals nothing by itself")
	assert.Equal(t, "elsewhere:1", r.worker("w-a").Address)
	assert.Len(t, r.worker("w-a").Transitions, 1)

	r.refuses(model.CodeStaleEpoch, register("w-a", nil))
	r.refuses(model.CodeConflict, register("w-copy", func(w *messages.WorkerRow) { w.RaftId = 3000 }))
	r.refuses(model.CodeConflict, register("w-a", func(w *messages.WorkerRow) { w.Incarnation = 2; w.RaftId = 77 }))
}

// A node that lost its log must not vote under its old id again.
func TestRegisterWorker_ALaterStartMayComeWithAnotherRaftID(t *testing.T) {
	r := newRig(t)
	r.mustDo(register("w-a", func(w *messages.WorkerRow) { w.RaftId = 11 }))
	r.mustDo(register("w-b", func(w *messages.WorkerRow) { w.RaftId = 12 }))
	back := func(w *messages.WorkerRow) { w.Incarnation, w.RaftId = 2, 21 }
	r.mustDo(register("w-a", back))
	assert.EqualValues(t, 21, r.worker("w-a").RaftId)
	r.refuses(model.CodeConflict, register("w-c", func(w *messages.WorkerRow) { w.RaftId = 21 }))
	r.refuses(model.CodeConflict, register("w-b", func(w *messages.WorkerRow) { w.Incarnation, w.RaftId = 2, 21 }))
	r.refuses(model.CodeStaleEpoch, register("w-a", func(w *messages.WorkerRow) { w.RaftId = 11 })) // the original, from before the loss
	assert.Empty(t, r.c.Verify())
}

func TestChangeWorkerState_IsACompareAndSet(t *testing.T) {
	r := newRig(t)
	r.mustDo(register("w-a", nil))
	r.refuses(model.CodeConflict, transition("w-a", messages.WorkerState_DEGRADED, messages.WorkerState_UNREACHABLE, 5))
	r.refuses(model.CodeInvalidArgument, transition("w-a", messages.WorkerState_HEALTHY, messages.WorkerState_LEFT, 0))
	r.refuses(model.CodeNotFound, transition("w-b", messages.WorkerState_HEALTHY, messages.WorkerState_DEGRADED, 3))
	r.mustDo(transition("w-a", messages.WorkerState_HEALTHY, messages.WorkerState_DEGRADED, 3))
	last := r.worker("w-a").Transitions[0]
	assert.EqualValues(t, 3, last.Missed)
	assert.Equal(t, "a test", last.Cause)
}

func TestRemoveWorker_NeverTakesTheLastVerifiedCopyUnasked(t *testing.T) {
	r := newRig(t)
	r.mustDo(register("n-1", nil))
	r.mustDo(r.put("/a", 100))
	res := r.refuses(model.CodeConflict, remove("n-1", false))
	assert.Equal(t, "1", res.Details["volumes"])
	r.mustDo(remove("n-1", true))
	assert.Equal(t, messages.WorkerState_LEFT, r.worker("n-1").State)
	assert.NotEmpty(t, r.volume(1).Lost, "what was lost is logged")
	r.refuses(model.CodeConflict, register("n-1", func(w *messages.WorkerRow) { w.Incarnation = 9 }))
}

func TestVerifyMember_TakesTheFirstDigestAndNoOther(t *testing.T) {
	r := newRig(t)
	made := r.mustDo(createVolume(1, "n-1", "n-2"))
	first := r.volume(made.Id).Members[0].ReplicaGen
	r.refuses(model.CodeConflict, verify(made.Id, "n-1", first, "whole"))
	cmd := seal(made.Id, 1, 0)
	cmd.GetSealVolume().SurvivorEnd, cmd.GetSealVolume().Digest = 0, nil
	r.mustDo(cmd)
	assert.False(t, r.volume(made.Id).Members[0].Verified)
	r.mustDo(verify(made.Id, "n-1", first, "whole"))
	r.refuses(model.CodeConflict, verify(made.Id, "n-2", first+1, "other"))
	r.refuses(model.CodeConflict, verify(made.Id, "n-2", first, "whole"))
	r.mustDo(verify(made.Id, "n-2", first+1, "whole"))
	assert.True(t, r.volume(made.Id).Members[1].Verified)
}

func TestRaiseGeneration_OnlyGrowsAndATakeOverIsTakenOnce(t *testing.T) {
	r := newRig(t)
	raise := func(generation uint64, fork string) *messages.Command {
		return &messages.Command{Kind: &messages.Command_RaiseGeneration{RaiseGeneration: &messages.RaiseGeneration{
			Generation: generation, Fork: fork, Node: "n-1",
		}}}
	}
	r.refuses(model.CodeStaleEpoch, raise(1, "fork-a")) // a take-over that keeps the generation
	r.refuses(model.CodeInvalidArgument, raise(2, ""))
	r.mustDo(raise(2, "fork-a"))
	r.mustDo(raise(2, "fork-a")) // a retry
	r.refuses(model.CodeStaleEpoch, raise(2, "fork-b"))
	r.refuses(model.CodeStaleEpoch, raise(1, "fork-b"))
	assert.EqualValues(t, 2, r.c.Cluster().Generation)
	assert.Equal(t, "fork-a", r.c.Cluster().Fork)

	started := masterStarted("n-1", 9)
	started.GetMasterStarted().Generation = 1
	r.refuses(model.CodeStaleEpoch, started) // a master of the side that was left
}

func TestRaiseGeneration_ThoseLeftBehindLeaveAndOpenVolumesWaitForTheirFence(t *testing.T) {
	r := newRig(t)
	for i, node := range []string{"n-1", "n-2", "n-3"} {
		r.mustDo(register(node, func(w *messages.WorkerRow) { w.RaftId = uint64(i + 1) }))
	}
	open := r.mustDo(createVolume(2, "n-1", "n-2")).Id
	only := r.mustDo(createVolume(3, "n-1")).Id
	sealed := r.mustDo(createVolume(1, "n-1", "n-3")).Id
	r.mustDo(seal(sealed, 1, 0))
	r.mustDo(&messages.Command{Kind: &messages.Command_RaiseGeneration{RaiseGeneration: &messages.RaiseGeneration{
		Generation: 2, Fork: "fork-a", Node: "n-2", Superseded: []uint64{1},
	}}})
	assert.Equal(t, messages.WorkerState_LEFT, r.worker("n-1").State)
	assert.Equal(t, messages.WorkerState_HEALTHY, r.worker("n-3").State)
	assert.Len(t, r.volume(open).Members, 2, "the fence says what the other holds")
	assert.Equal(t, messages.VolumeState_OPEN, r.volume(open).State)
	assert.Empty(t, r.volume(only).Members)
	assert.Equal(t, messages.VolumeState_SEALED, r.volume(only).State)
	assert.Equal(t, "n-3", r.volume(sealed).Members[0].Node)
	assert.Empty(t, r.c.Verify())
}

func TestSealVolume_WhatNobodyWhoStaysHoldsIsLostAndNoMore(t *testing.T) {
	for _, c := range []struct {
		name      string
		survivor  uint64
		fenced    []*messages.FencedCopy
		lost      bool
		sealedEnd uint64
	}{
		{"the other has all of it", 176, []*messages.FencedCopy{{Node: "n-2", End: 176}}, false, 176},
		{"the other is behind", 80, []*messages.FencedCopy{{Node: "n-2", End: 80}}, true, 80},
		{"nobody knows what the other has", 0, nil, false, 176},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			for i, node := range []string{"n-1", "n-2"} {
				r.mustDo(register(node, func(w *messages.WorkerRow) { w.RaftId = uint64(i + 1) }))
			}
			id := r.mustDo(createVolume(2, "n-1", "n-2")).Id
			attributes := file("/vectors/a", 136)
			attributes.Tier = 2
			r.mustDo(putFile(&messages.PutFile{File: attributes, Extents: r.extents(id, 136)}))
			r.refuses(model.CodeConflict, remove("n-1", false)) // the other may be behind
			r.mustDo(remove("n-1", true))
			require.Len(t, r.volume(id).Members, 2)
			cmd := seal(id, 1, c.survivor)
			cmd.GetSealVolume().Fenced = c.fenced
			r.mustDo(cmd)
			row := r.volume(id)
			assert.Len(t, row.Members, 1)
			assert.Equal(t, c.sealedEnd, row.SealedEnd)
			if c.lost {
				require.Len(t, row.Lost, 1)
				assert.Equal(t, c.survivor, row.Lost[0].From)
				assert.EqualValues(t, 176, row.Lost[0].To)
			} else {
				assert.Empty(t, row.Lost)
			}
			assert.Empty(t, r.c.Verify())
		})
	}
}
