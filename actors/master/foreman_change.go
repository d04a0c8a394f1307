package master

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/replication"
	"tiercel/cluster/shortage"
	"tiercel/messages"
)

// changeCluster logs a change of the cluster row and answers with what it is then, and with
// what the cluster can no longer give.
func (f *Foreman) changeCluster(ctx *runtime.Context, to *actor.PID, h *messages.Header, cmd *messages.Command, then func(*runtime.Context, *messages.ChangeClusterReply)) {
	before := f.lacks()
	f.commit(ctx, cmd, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		r := &messages.ChangeClusterReply{Header: messages.ReplyHeader(h)}
		if err := outcomeError("change the cluster", o); err != nil {
			r.Error = messages.FromError(err)
			ctx.Send(to, r)
			return
		}
		f.asks = append(f.asks, ask{to: to, since: ctx.Now(), then: func(ctx *runtime.Context, _ *actor.PID) {
			r.Cluster, r.Warnings = f.cluster(), shortage.New(before, f.lacks())
			then(ctx, r)
		}})
		f.look(ctx)
	})
}

// looksForJob are waited for at most until a job that the plan wants is there.
const looksForJob = 3

// onChangeTier answers with the job that adapts the copies, too: the plan that wants it is
// made with the look after the change, and it is in the log with the next.
func (f *Foreman) onChangeTier(ctx *runtime.Context, to *actor.PID, m *messages.ChangeTier) {
	key, newest := replication.JobKey{Kind: messages.JobKind_ADAPT, Tier: m.Tier.GetTier()}, uint64(0)
	for _, j := range f.status.Jobs {
		newest = max(newest, j.Id)
	}
	set := &messages.SetTier{Tier: m.Tier, CopiesAsked: m.CopiesAsked, DiskAsked: m.DiskAsked}
	f.changeCluster(ctx, to, m.Header, &messages.Command{Kind: &messages.Command_SetTier{SetTier: set}}, func(ctx *runtime.Context, r *messages.ChangeClusterReply) {
		f.withJob(ctx, to, key, newest, r, ctx.Now())
	})
}

// withJob sends an answer with the job of a key that runs, or was made after another one
// and has ended since. None when the plan wants none.
func (f *Foreman) withJob(ctx *runtime.Context, to *actor.PID, key replication.JobKey, after uint64, r *messages.ChangeClusterReply, since time.Time) {
	for _, j := range f.status.Jobs {
		if keyOf(j) == key && (active(j) || j.Id > after) {
			r.Job = max(r.Job, j.Id)
		}
	}
	wanted := slices.ContainsFunc(f.output.Jobs, func(v replication.JobView) bool { return v.Key == key })
	if r.Job != 0 || !wanted || ctx.Now().Sub(since) >= looksForJob*f.cfg.ReconcileTick {
		ctx.Send(to, r)
		return
	}
	f.asks = append(f.asks, ask{to: to, since: since, then: func(ctx *runtime.Context, to *actor.PID) { f.withJob(ctx, to, key, after, r, since) }})
}
