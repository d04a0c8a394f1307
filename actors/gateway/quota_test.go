package gateway

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/messages"
)

// A Begin that seemed lost is repeated; its first answer may come when the write has
// ended, and brings a reservation that nobody waits for.
func TestQuota_WhatWasReservedForAWriteThatHasEndedIsReleased(t *testing.T) {
	world := sim.NewWorld(1, sim.Options{})
	r := &forwardRig{t: t, world: world}
	world.Client("here")
	world.Client("there")
	r.spawn("here", "gateway", func() runtime.Actor {
		return New(Config{CoordinatorPath: "coordinator", LogPath: "log", CatalogPath: "catalog", MemberPath: "member", DefaultBudget: 2 * time.Second, QueueBytes: 1 << 20})
	})
	var begun []*messages.BeginItem
	var released []*messages.ReleaseQuota
	r.spawn("there", "coordinator", func() runtime.Actor {
		return actorFunc(func(ctx *runtime.Context, msg any) {
			switch m := msg.(type) {
			case *messages.Commit:
				for _, cmd := range m.Commands {
					assert.NotNil(t, cmd.GetOpenSession())
					ctx.Reply(&messages.CommitReply{Outcomes: []*messages.CommitOutcome{{Proposal: cmd.Proposal, Result: &messages.CommandResult{Id: 5}}}})
				}
			case *messages.Begin:
				require.EqualValues(t, 5, m.Session)
				begun = append(begun, m.Items...)
				reply := &messages.BeginReply{Header: messages.ReplyHeader(m.Header)}
				for _, item := range m.Items { // refused for good, and then a late word of the first try
					reply.Grants = append(reply.Grants, &messages.BeginGrant{Item: item.Item, Error: &messages.Error{Code: "quota_exceeded", Message: "full"}},
						&messages.BeginGrant{Item: item.Item, Reserved: true, Write: item.Write})
				}
				ctx.Reply(reply)
			case *messages.ReleaseQuota:
				released = append(released, m)
			}
		})
	})
	var answers []*messages.PutReply
	r.spawn("here", "asker", func() runtime.Actor {
		return actorFunc(func(ctx *runtime.Context, msg any) {
			switch m := msg.(type) {
			case *actor.Started:
				to := ctx.Runtime().Local("gateway")
				ctx.Send(to, master())
				ctx.Request(to, &messages.Put{Header: &messages.Header{Request: 1}, Body: []byte("abc"), File: &messages.FileAttributes{Tenant: "a", Path: "/x", SizeBytes: 3}})
			case *messages.PutReply:
				answers = append(answers, m)
			}
		})
	})
	world.Run(time.Second)
	require.Len(t, answers, 1)
	assert.Equal(t, "quota_exceeded", answers[0].Error.GetCode())
	require.Len(t, begun, 1)
	assert.EqualValues(t, 3, begun[0].WriteBytes)
	require.Len(t, released, 1)
	assert.Equal(t, []uint64{begun[0].Write}, released[0].Writes)
	assert.EqualValues(t, 5, released[0].Session)
}
