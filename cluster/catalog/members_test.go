package catalog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// sealedRig has workers w-1 to w-5 and a sealed volume of tier 1 on the first three,
// all verified, with one file in it.
func sealedRig(t *testing.T) (r *rig, volume uint64) {
	r = newRig(t)
	for i := 1; i <= 5; i++ {
		r.mustDo(register(fmt.Sprintf("w-%d", i), func(w *messages.WorkerRow) { w.RaftId = uint64(i) }))
	}
	volume = r.mustDo(createVolume(model.TierCritical, "w-1", "w-2", "w-3")).Id
	r.mustDo(r.inSession(putFile(&messages.PutFile{File: file("/users/a", 10), Extents: r.extents(volume, 10)})))
	end := r.volume(volume).CommittedEnd
	s := seal(volume, 1, end)
	s.GetSealVolume().Intact = []string{"w-1", "w-2", "w-3"}
	r.mustDo(s)
	return r, volume
}

// change makes a ChangeMembers that expects the members as they are.
func (r *rig) change(volume uint64, add []string, remove ...string) *messages.Command {
	row := r.volume(volume)
	m := &messages.ChangeMembers{Volume: volume, Generation: row.Generation, Add: add, Cause: "a test"}
	for _, member := range row.Members {
		ref := &messages.MemberRef{Node: member.Node, ReplicaGen: member.ReplicaGen}
		m.Expect = append(m.Expect, ref)
		for _, node := range remove {
			if node == member.Node {
				m.Remove = append(m.Remove, ref)
			}
		}
	}
	return &messages.Command{Kind: &messages.Command_ChangeMembers{ChangeMembers: m}}
}

func (r *rig) members(volume uint64) (out []string) {
	for _, m := range r.volume(volume).Members {
		text := m.Node
		if !m.Verified {
			text += "?"
		}
		if m.Damaged {
			text += "!"
		}
		out = append(out, text)
	}
	return out
}

func markDamaged(volume uint64, node string, replicaGen uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_MarkDamaged{MarkDamaged: &messages.MarkDamaged{
		Volume: volume, Generation: 1, Node: node, ReplicaGen: replicaGen, Cause: "a scrub",
	}}}
}

func TestChangeMembers_ACopyIsGivenUpOnlyWhenEnoughOthersAreVerified(t *testing.T) {
	r, v := sealedRig(t)
	r.refuses(model.CodeConflict, r.change(v, nil, "w-3")) // two would be left of three
	res := r.mustDo(r.change(v, []string{"w-4"}))
	assert.Equal(t, []string{"w-1", "w-2", "w-3", "w-4?"}, r.members(v))
	r.refuses(model.CodeConflict, r.change(v, nil, "w-3")) // the new copy is not verified
	r.mustDo(verify(v, "w-4", res.Id, "digest"))
	r.mustDo(r.change(v, nil, "w-3"))
	assert.Equal(t, []string{"w-1", "w-2", "w-4"}, r.members(v))
}

func TestChangeMembers_OfTwoThatDropTheExtraCopyOneIsRefused(t *testing.T) {
	r, v := sealedRig(t)
	res := r.mustDo(r.change(v, []string{"w-4"}))
	r.mustDo(verify(v, "w-4", res.Id, "digest"))
	one, two := r.change(v, nil, "w-3"), r.change(v, nil, "w-4")
	r.mustDo(one)
	r.refuses(model.CodeConflict, two)
	assert.Equal(t, []string{"w-1", "w-2", "w-4"}, r.members(v))
}

func TestChangeMembers_AMemberThatComesAgainHasANewReplicaGeneration(t *testing.T) {
	r, v := sealedRig(t)
	res := r.mustDo(r.change(v, []string{"w-4"}))
	r.mustDo(verify(v, "w-4", res.Id, "digest"))
	before := r.volume(v).Members[2].ReplicaGen
	r.mustDo(r.change(v, nil, "w-3"))
	again := r.mustDo(r.change(v, []string{"w-3"}))
	assert.Greater(t, again.Id, before, "a delayed delete names the old one")
}

func TestChangeMembers_CopiesOnWorkersThatAreAwayDoNotCount(t *testing.T) {
	r, v := sealedRig(t)
	res := r.mustDo(r.change(v, []string{"w-4"}))
	r.mustDo(verify(v, "w-4", res.Id, "digest"))
	r.mustDo(transition("w-1", messages.WorkerState_HEALTHY, messages.WorkerState_DEGRADED, 3))
	r.mustDo(transition("w-1", messages.WorkerState_DEGRADED, messages.WorkerState_UNREACHABLE, 5))
	r.refuses(model.CodeConflict, r.change(v, nil, "w-2"))
	r.mustDo(r.change(v, nil, "w-1"))
}

func TestChangeMembers_TheLastVerifiedCopyStaysWhateverElseIsThere(t *testing.T) {
	r, v := sealedRig(t)
	row := r.volume(v)
	for _, m := range row.Members[1:] {
		r.mustDo(markDamaged(v, m.Node, m.ReplicaGen))
	}
	assert.Equal(t, []string{"w-1", "w-2?!", "w-3?!"}, r.members(v))
	r.refuses(model.CodeConflict, r.change(v, nil, "w-1"))
	r.mustDo(r.change(v, nil, "w-3"))
	r.mustDo(markDamaged(v, "w-1", row.Members[0].ReplicaGen))
	r.refuses(model.CodeConflict, r.change(v, nil, "w-2")) // damaged, but who knows what it still holds
}

func TestChangeMembers_RefusesWhatCannotBe(t *testing.T) {
	r, v := sealedRig(t)
	r.refuses(model.CodeConflict, r.change(1, []string{"w-1"})) // it is open
	r.refuses(model.CodeConflict, r.change(v, []string{"w-1"}))
	r.refuses(model.CodeNotFound, r.change(v, []string{"w-9"}))
	r.refuses(model.CodeInvalidArgument, r.change(v, nil))
	r.mustDo(remove("w-5", false))
	r.refuses(model.CodeConflict, r.change(v, []string{"w-5"}))
	r.refuses(model.CodeConflict, markDamaged(v, "w-1", 999))
}

func TestVerifyMember_EndsDamage(t *testing.T) {
	r, v := sealedRig(t)
	m := r.volume(v).Members[1]
	r.mustDo(markDamaged(v, m.Node, m.ReplicaGen))
	r.refuses(model.CodeConflict, verify(v, m.Node, m.ReplicaGen, "other"))
	r.mustDo(verify(v, m.Node, m.ReplicaGen, "digest"))
	assert.Equal(t, []string{"w-1", "w-2", "w-3"}, r.members(v))
}

func TestChangeMembers_ACopyIsItsJobsUntilTheOneItReplacesIsGone(t *testing.T) {
	r, v := sealedRig(t)
	add := r.change(v, []string{"w-4"})
	add.GetChangeMembers().Job = 77
	res := r.mustDo(add)
	r.mustDo(verify(v, "w-4", res.Id, "digest"))
	assert.EqualValues(t, 77, r.volume(v).Members[3].Job)
	away := r.change(v, nil, "w-3")
	away.GetChangeMembers().Job = 77
	r.mustDo(away)
	assert.Zero(t, r.volume(v).Members[2].Job)
}
