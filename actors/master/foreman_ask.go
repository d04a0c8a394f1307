package master

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/replication"
	"tiercel/cluster/shortage"
	"tiercel/messages"
)

// ask is a question of an operator that is answered after the next look, so that the
// answer knows what was logged before.
type ask struct {
	to    *actor.PID
	since time.Time
	then  func(ctx *runtime.Context, to *actor.PID) // with a look at hand
}

// maxPlanShown bounds the moves of one answer.
const maxPlanShown = 1000

// receiveQuestion is the rest of Receive: what people ask.
func (f *Foreman) receiveQuestion(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *messages.StartRebalance:
		f.later(ctx, m.Header, func(ctx *runtime.Context, to *actor.PID) { f.onStartRebalance(ctx, to, m) })
	case *messages.DrainWorker:
		f.later(ctx, m.Header, func(ctx *runtime.Context, to *actor.PID) { f.onDrain(ctx, to, m) })
	case *messages.StartScrub:
		f.later(ctx, m.Header, func(ctx *runtime.Context, to *actor.PID) {
			f.startJob(ctx, to, m.Header, &messages.CreateJob{Kind: messages.JobKind_SCRUB, Cause: "asked for by an operator", BytesPerSecond: m.BytesPerSecond})
		})
	case *messages.ListJobs:
		f.later(ctx, m.Header, func(ctx *runtime.Context, to *actor.PID) { f.onListJobs(ctx, to, m) })
	case *messages.ChangeJob:
		f.later(ctx, m.Header, func(ctx *runtime.Context, to *actor.PID) { f.onChangeJob(ctx, to, m) })
	case *messages.DescribeReplication:
		f.later(ctx, m.Header, func(ctx *runtime.Context, to *actor.PID) { f.onDescribeReplication(ctx, to, m) })
	case *messages.ChangeTier:
		f.later(ctx, m.Header, func(ctx *runtime.Context, to *actor.PID) { f.onChangeTier(ctx, to, m) })
	case *messages.ChangeSettings:
		f.later(ctx, m.Header, func(ctx *runtime.Context, to *actor.PID) {
			f.changeCluster(ctx, to, m.Header, &messages.Command{Kind: &messages.Command_SetSettings{
				SetSettings: &messages.SetSettings{Settings: m.Settings, IfVersion: m.IfVersion, AutoRebalanceAsked: m.AutoRebalanceAsked},
			}}, func(ctx *runtime.Context, r *messages.ChangeClusterReply) { ctx.Send(to, r) })
		})
	}
}

// later keeps a question for the next look. What does not fit is dropped: whoever asked
// has a time limit of its own.
func (f *Foreman) later(ctx *runtime.Context, _ *messages.Header, then func(*runtime.Context, *actor.PID)) {
	if len(f.asks) >= maxQuestions {
		return
	}
	f.asks = append(f.asks, ask{to: ctx.Sender(), since: ctx.Now(), then: then})
	if len(f.asks) == 1 {
		f.look(ctx)
	}
}

func (f *Foreman) answerQuestions(ctx *runtime.Context) {
	asks := f.asks
	f.asks = nil
	for _, a := range asks {
		a.then(ctx, a.to)
	}
}

func (f *Foreman) onStartRebalance(ctx *runtime.Context, to *actor.PID, m *messages.StartRebalance) {
	if err := f.denyRebalance(); err != nil {
		ctx.Send(to, &messages.StartJobReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(err)})
		return
	}
	if m.DryRun {
		f.draft(ctx, to, m.Header, messages.JobKind_REBALANCE, "", m.BytesPerSecond)
		return
	}
	f.startJob(ctx, to, m.Header, &messages.CreateJob{
		Kind: messages.JobKind_REBALANCE, Cause: "asked for by an operator", BytesPerSecond: m.BytesPerSecond,
	})
}

// draft answers a dry run: what a job would do, and how long that takes at its limit.
func (f *Foreman) draft(ctx *runtime.Context, to *actor.PID, h *messages.Header, kind messages.JobKind, subject string, bytesPerSecond uint64) {
	moves, bytes, blockers := replication.DryRun(f.input(ctx), kind, subject)
	r := &messages.StartJobReply{
		Header: messages.ReplyHeader(h), PlanBytes: bytes, PlanItems: uint64(len(moves)), Blockers: firstOf(blockers, 16), Warnings: f.lacksWithout(subject),
	}
	for _, mv := range firstOf(moves, maxPlanShown) {
		r.Plan = append(r.Plan, &messages.PlannedMove{Volume: mv.Volume, From: mv.From, To: mv.To, Bytes: mv.Bytes, Why: mv.Why})
	}
	limit := f.cluster().GetSettings().GetBackgroundBytesPerSecond()
	if bytesPerSecond > 0 && (limit == 0 || bytesPerSecond < limit) {
		limit = bytesPerSecond
	}
	if limit > 0 {
		r.EstimateSeconds = float64(bytes) / float64(limit)
	}
	ctx.SendBulk(to, r)
}

// lacksWithout is what the cluster will not be able to give without a worker, and can now;
// empty: nothing.
func (f *Foreman) lacksWithout(node string) []string {
	workers := slices.Clone(f.status.Workers)
	if i := slices.Index(f.status.WorkerNodes, node); i >= 0 {
		workers[i] = proto.CloneOf(workers[i])
		workers[i].Draining = true
	}
	return shortage.New(f.lacks(), shortage.Of(f.cluster(), f.status.WorkerNodes, workers))
}

// lacks is what the cluster cannot give now.
func (f *Foreman) lacks() []string {
	return shortage.Of(f.cluster(), f.status.WorkerNodes, f.status.Workers)
}

func (f *Foreman) onDrain(ctx *runtime.Context, to *actor.PID, m *messages.DrainWorker) {
	i := slices.Index(f.status.WorkerNodes, m.Node)
	if i < 0 {
		ctx.Send(to, &messages.StartJobReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(
			model.Errorf(model.CodeNotFound, "drain", "there is no worker %s", m.Node))})
		return
	}
	switch {
	case m.DryRun:
		f.draft(ctx, to, m.Header, messages.JobKind_DRAIN, m.Node, 0)
	case m.Cancel && !f.status.Workers[i].Draining:
		ctx.Send(to, &messages.StartJobReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(
			model.Errorf(model.CodeConflict, "drain", "%s is not being drained", m.Node))})
	case m.Cancel:
		id := f.jobID(replication.JobKey{Kind: messages.JobKind_DRAIN, Subject: m.Node})
		f.commit(ctx, &messages.Command{Kind: &messages.Command_SetDraining{SetDraining: &messages.SetDraining{Node: m.Node, Cause: "cancelled by an operator"}}},
			func(ctx *runtime.Context, o *messages.CommitOutcome) { f.replyJob(ctx, to, m.Header, o, id, nil) })
	default:
		warnings := f.lacksWithout(m.Node)
		create := &messages.CreateJob{Kind: messages.JobKind_DRAIN, Subject: m.Node, Cause: "asked for by an operator"}
		f.commit(ctx, &messages.Command{Kind: &messages.Command_CreateJob{CreateJob: create}},
			func(ctx *runtime.Context, o *messages.CommitOutcome) {
				f.replyJob(ctx, to, m.Header, o, o.Result.GetId(), warnings)
			})
	}
}

// startJob logs a job and answers with it.
func (f *Foreman) startJob(ctx *runtime.Context, to *actor.PID, h *messages.Header, create *messages.CreateJob) {
	f.commit(ctx, &messages.Command{Kind: &messages.Command_CreateJob{CreateJob: create}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			f.replyJob(ctx, to, h, o, o.Result.GetId(), nil)
		})
}

// replyJob answers with a job as it is after the next look.
func (f *Foreman) replyJob(ctx *runtime.Context, to *actor.PID, h *messages.Header, o *messages.CommitOutcome, id uint64, warnings []string) {
	if err := outcomeError("start a job", o); err != nil {
		ctx.Send(to, &messages.StartJobReply{Header: messages.ReplyHeader(h), Error: messages.FromError(err)})
		return
	}
	f.asks = append(f.asks, ask{to: to, since: ctx.Now(), then: func(ctx *runtime.Context, to *actor.PID) {
		r := &messages.StartJobReply{Header: messages.ReplyHeader(h), Warnings: warnings}
		if j := f.job(id); j != nil {
			r.Job = f.info(ctx.Now(), j)
		}
		ctx.SendBulk(to, r)
	}})
	f.look(ctx)
}

// outcomeError is what a command of an operator came to.
func outcomeError(op string, o *messages.CommitOutcome) error {
	if o.Dropped {
		return model.Errorf(model.CodeUnavailable, op, "the log takes nothing at the moment; try again")
	}
	return o.Result.Err(op)
}

func (f *Foreman) onListJobs(ctx *runtime.Context, to *actor.PID, m *messages.ListJobs) {
	r := &messages.ListJobsReply{Header: messages.ReplyHeader(m.Header)}
	for _, j := range f.status.Jobs {
		if (m.Id == 0 || j.Id == m.Id) && (m.Kind == 0 || j.Kind == m.Kind) {
			r.Jobs = append(r.Jobs, f.info(ctx.Now(), j))
		}
	}
	if m.Id != 0 && len(r.Jobs) == 0 {
		r.Error = messages.FromError(model.Errorf(model.CodeNotFound, "list jobs", "there is no job %d; the last %d that ended are kept", m.Id, keptJobs))
	}
	ctx.SendBulk(to, r)
}

// keptJobs is cluster/catalog MaxEndedJobs.
const keptJobs = 64

func (f *Foreman) onChangeJob(ctx *runtime.Context, to *actor.PID, m *messages.ChangeJob) {
	f.commit(ctx, &messages.Command{Kind: &messages.Command_ChangeJobState{ChangeJobState: &messages.ChangeJobState{
		Id: m.Id, To: m.To, Cause: "asked for by an operator",
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		if err := outcomeError("change a job", o); err != nil {
			ctx.Send(to, &messages.ListJobsReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(err)})
			return
		}
		f.asks = append(f.asks, ask{to: to, since: ctx.Now(), then: func(ctx *runtime.Context, to *actor.PID) {
			f.onListJobs(ctx, to, &messages.ListJobs{Header: m.Header, Id: m.Id})
		}})
		f.look(ctx)
	})
}

func (f *Foreman) onDescribeReplication(ctx *runtime.Context, to *actor.PID, m *messages.DescribeReplication) {
	r := &messages.DescribeReplicationReply{Header: messages.ReplyHeader(m.Header), PendingOperations: uint64(len(f.copies))}
	for i := range f.output.Tiers {
		d := &f.output.Tiers[i]
		r.Tiers = append(r.Tiers, &messages.TierReplication{
			Tier: uint32(i + 1), Open: uint64(d.Open), Sealed: uint64(d.Sealed), Retiring: uint64(d.Retiring), Degraded: uint64(d.Degraded), DebtBytes: d.DebtBytes,
			OldestDebtSeconds: f.debtAge(ctx.Now(), i), Stranded: uint64(d.Stranded), Lost: uint64(d.Lost), Followers: f.lag(uint32(i + 1)),
		})
		r.PendingOperations += uint64(d.Degraded)
	}
	ctx.SendBulk(to, r)
}

// debtAge is for how long a tier has lacked copies, as this master has seen it.
func (f *Foreman) debtAge(now time.Time, tier int) float64 {
	if f.inDebt[tier].IsZero() {
		return 0
	}
	return now.Sub(f.inDebt[tier]).Seconds()
}

// noteDebt keeps since when each tier has lacked copies.
func (f *Foreman) noteDebt(now time.Time) {
	for i := range f.output.Tiers {
		switch {
		case f.output.Tiers[i].DebtBytes == 0:
			f.inDebt[i] = time.Time{}
		case f.inDebt[i].IsZero():
			f.inDebt[i] = now
		}
	}
}

// lag of a tier's followers, as the coordinator told it.
func (f *Foreman) lag(tier uint32) []*messages.FollowerLag {
	for _, t := range f.lags.GetTiers() {
		if t.Tier == tier {
			return t.Followers
		}
	}
	return nil
}
