package master

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

func TestController_AnswersAHeartbeatWithoutLoggingAnything(t *testing.T) {
	r := newRig(t, 2)
	r.conf.Learners = []uint64{100} // w-1
	r.controller()
	learner, other := r.process("w-1", "w-1", 5, 11), r.process("w-2", "w-2", 5, 12)
	learner.beat()
	other.beat()
	r.world.Run(rigInterval)
	ack, ok := newest[*messages.HeartbeatAck](learner)
	require.True(t, ok)
	assert.Nil(t, ack.Error)
	assert.Len(t, ack.Candidates, 1, "who holds the log hears the order of the voters")
	ack, ok = newest[*messages.HeartbeatAck](other)
	require.True(t, ok)
	assert.Empty(t, ack.Candidates, "and nobody else: it does not campaign")
	assert.Empty(t, r.logged)
}

func TestController_RegistersANewStartOnce(t *testing.T) {
	r := newRig(t, 1)
	r.controller()
	p := r.process("w-1", "w-1", 6, 11)
	for range 3 {
		p.beat()
		r.world.Run(rigInterval)
	}
	require.Len(t, r.logged, 1)
	assert.EqualValues(t, 6, r.logged[0].GetRegisterWorker().GetWorker().GetIncarnation())
}

func TestController_RefusesWhoHasLeft(t *testing.T) {
	r := newRig(t, 1)
	r.row("w-1").State = messages.WorkerState_LEFT
	r.controller()
	p := r.process("w-1", "w-1", 6, 11)
	p.beat()
	r.world.Run(rigInterval)
	ack, _ := newest[*messages.HeartbeatAck](p)
	assert.Contains(t, ack.GetError().GetMessage(), "has left this cluster for good")
	assert.Empty(t, r.logged)
}

// What a node that has lost its log comes back with: it cannot vote under its old id.
func TestController_ALaterStartMayComeWithAnotherRaftID(t *testing.T) {
	r := newRig(t, 1)
	p := r.process("w-1", "w-1", 6, 9)
	r.controller()
	row := p.row()
	row.RaftId++
	p.send("controller", &messages.Heartbeat{Header: &messages.Header{}, Node: "w-1", Incarnation: 6, Boot: 9, Address: "w-1", Worker: row, ClusterId: "c"})
	r.world.Run(rigInterval / 3)
	require.Len(t, r.registrations(), 1)
	assert.Equal(t, row.RaftId, r.registrations()[0].Worker.RaftId)
}

// Found by starting a node that had lost its directory without --join: it founded a cluster
// of its own, and counted here as a worker, under the licence and for the storm brake.
func TestController_RefusesAHeartbeatOfAnotherCluster(t *testing.T) {
	r := newRig(t, 1)
	p := r.process("stranger", "n-9", 1, 9)
	r.controller()
	p.send("controller", &messages.Heartbeat{Header: &messages.Header{}, Node: "n-9", Incarnation: 1, Boot: 9, Address: "stranger", ClusterId: "other", Worker: &messages.WorkerRow{Address: "stranger", RaftId: 5, Incarnation: 1}})
	r.world.Run(rigInterval)
	ack, ok := newest[*messages.HeartbeatAck](p)
	require.True(t, ok)
	assert.Equal(t, "conflict", ack.Error.GetCode())
	assert.Contains(t, ack.Error.GetMessage(), "belongs to cluster other and this is cluster c")
	assert.Empty(t, r.registrations())
}

func TestController_LogsEachStepOfASilentWorkerOnce(t *testing.T) {
	r := newRig(t, 2)
	r.controller()
	p := r.process("w-1", "w-1", 5, 11)
	for range 8 {
		p.beat() // w-2 never does
		r.world.Run(rigInterval)
	}
	var steps []string
	for _, cmd := range r.logged {
		change := cmd.GetChangeWorkerState()
		steps = append(steps, fmt.Sprintf("%s %s at %d", change.GetNode(), change.GetTo(), change.GetMissed()))
	}
	assert.Equal(t, []string{"w-2 DEGRADED at 3", "w-2 UNREACHABLE at 5"}, steps)
}

func TestController_ANewerStartElsewhereIsRefusedWhileTheOriginalAnswers(t *testing.T) {
	for _, heard := range []bool{true, false} { // false: a new master knows the row only
		for _, how := range []string{"beat", "greet"} {
			t.Run(fmt.Sprintf("heard=%v %s", heard, how), func(t *testing.T) {
				r := newRig(t, 2)
				r.controller()
				original, copied := r.process("w-1", "w-1", 5, 11), r.process("elsewhere", "w-1", 6, 12)
				say := copied.beat
				if how == "greet" {
					say = copied.greet
				}
				if heard {
					original.beat()
					r.world.Run(rigInterval / 2)
				}
				say()
				r.world.Run(3 * rigInterval)
				original.beat()
				r.world.Run(rigInterval)
				assert.Empty(t, r.registrations(), "the original is not displaced")
				assert.Equal(t, "w-1", r.row("w-1").Address)
				refusal := ""
				if ack, ok := newest[*messages.HeartbeatAck](copied); ok {
					refusal = ack.GetError().GetMessage()
				} else if reply, ok := newest[*messages.GreetReply](copied); ok {
					refusal = reply.GetError().GetMessage()
				}
				assert.Contains(t, refusal, "in use at w-1: the data directory was copied")
				ack, ok := newest[*messages.HeartbeatAck](original)
				require.True(t, ok)
				assert.Nil(t, ack.Error, "and goes on")
			})
		}
	}
}

func TestController_ANodeThatHasMovedIsTakenInWhenNobodyAnswersAtItsOldAddress(t *testing.T) {
	r := newRig(t, 1)
	r.controller()
	original, moved := r.process("w-1", "w-1", 5, 11), r.process("elsewhere", "w-1", 6, 12)
	original.beat()
	r.world.Run(rigInterval / 2)
	original.silent = true
	for range 5 {
		moved.beat()
		r.world.Run(rigInterval)
	}
	require.Len(t, r.registrations(), 1)
	assert.Equal(t, "elsewhere", r.row("w-1").Address)
	asked := 0
	for _, h := range original.heard {
		if _, ok := h.(*messages.AreYouThere); ok {
			asked++
		}
	}
	assert.Equal(t, 1, asked, "once it is in, nobody is asked any more")
	original.beat()
	r.world.Run(rigInterval)
	ack, _ := newest[*messages.HeartbeatAck](original)
	assert.Contains(t, ack.GetError().GetMessage(), "another process uses the identity")
}

func TestController_ANodeThatIsHeardAtTwoAddressesIsNoCopy(t *testing.T) {
	r := newRig(t, 1)
	r.row("w-1").Address = "old-name"
	r.controller()
	byNew := r.process("new-name", "w-1", 6, 12)
	r.process("old-name", "w-1", 6, 12) // the same process answers
	byNew.beat()
	r.world.Run(rigInterval)
	require.Len(t, r.logged, 1)
	assert.Equal(t, "new-name", r.row("w-1").Address)
}

func TestController_WhoIsInAlreadyIsToldSoWithoutAnotherEntry(t *testing.T) {
	r := newRig(t, 100)
	r.controller()
	p := r.process("newcomer", "newcomer", 1, 77)
	p.greet()
	r.world.Run(2 * rigInterval)
	require.Len(t, r.logged, 1)
	p.heard = nil
	p.greet() // the answer was lost
	r.world.Run(rigInterval)
	reply, ok := newest[*messages.GreetReply](p)
	require.True(t, ok)
	assert.True(t, reply.Accepted)
	assert.Len(t, r.logged, 1)
	assert.LessOrEqual(t, len(reply.Peers), 1+maxHints, "enough to begin with, not everybody")
}

func TestController_WhatTheCatalogRefusesTheNewcomerIsTold(t *testing.T) {
	r := newRig(t, 1)
	r.controller()
	r.refuse["newcomer"] = "raft_id_taken"
	p := r.process("newcomer", "newcomer", 1, 77)
	p.greet()
	r.world.Run(rigInterval)
	reply, ok := newest[*messages.GreetReply](p)
	require.True(t, ok)
	assert.False(t, reply.Accepted)
	assert.NotNil(t, reply.Error)
}

func TestController_ListsWorkersWithTheRanksOfThoseThatCanLead(t *testing.T) {
	r := newRig(t, 3)
	r.conf.Voters = []uint64{1, 100, 101}
	r.status.Cluster.Failover = true
	r.controller()
	p := r.process("w-1", "w-1", 5, 11)
	p.beat()
	r.world.Run(rigInterval)
	var list *messages.ListWorkersReply
	r.spawn("asker", "asker", func(_ *runtime.Context, msg any) {
		if m, ok := msg.(*messages.ListWorkersReply); ok {
			list = m
		}
	})
	host := r.world.Node("asker").Runtime().(runtime.Host)
	host.System().Root.RequestWithCustomSender(host.Peer("m", "controller"), &messages.ListWorkers{Header: &messages.Header{}}, host.Local("asker"))
	require.True(t, r.world.RunUntil(func() bool { return list != nil }, 10*time.Second))
	ranks := make(map[string]int32)
	for _, w := range list.Workers {
		ranks[w.Node] = w.CandidateRank
	}
	assert.Equal(t, map[string]int32{"m": 1, "w-1": 0, "w-2": 2, "w-3": -1}, ranks)
}
