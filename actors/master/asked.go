package master

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// admitted are the commands of a request that may be logged for its sender; the others
// are answered. What must not be in the log must not get there: every voter applies it.
func admitted(ctx *runtime.Context, m *messages.Commit) []*messages.Command {
	kept := make([]*messages.Command, 0, len(m.Commands))
	for _, cmd := range m.Commands {
		why := refuseAsked(ctx, cmd)
		if why == "" {
			kept = append(kept, cmd)
			continue
		}
		ctx.Reply(&messages.CommitReply{Header: messages.ReplyHeader(m.Header), Outcomes: []*messages.CommitOutcome{{
			Proposal: cmd.GetProposal(), Result: &messages.CommandResult{Code: string(model.CodeInvalidArgument), Message: why},
		}}})
	}
	return kept
}

// refuseAsked says why a command is not logged for its sender. The master's other actors,
// which are on this node, may ask for what is the master's; that a sender is on this
// node no other node can say (actors/runtime/live/inbound.go).
func refuseAsked(ctx *runtime.Context, cmd *messages.Command) string {
	if cmd.GetKind() != nil && ctx.Sender().GetAddress() == ctx.Runtime().Address() {
		return ""
	}
	return catalog.RefuseAsked(cmd)
}
