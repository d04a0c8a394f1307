package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

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
	r.refuses(model.CodeConflict, register("w-a", func(w *messages.WorkerRow) { w.Incarnation = 3; w.RaftId = 77 }))
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
