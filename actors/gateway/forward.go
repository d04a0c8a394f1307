package gateway

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// headed is a message with a header.
type headed interface {
	proto.Message
	GetHeader() *messages.Header
}

// forward is a question for an actor of the master on its way there.
type forward struct {
	from     *actor.PID
	request  uint64
	msg      headed // ours: a copy under our own number
	sent     bool
	deadline time.Time
}

const maxForwards = 1000

// questionPatience is longer than a master takes to be replaced: who only asks how
// things stand hears then that there is none.
const questionPatience = 5 * time.Second

// onForward passes a question on to the master, or keeps it until there is one.
func (g *Gateway) onForward(ctx *runtime.Context, m headed) {
	f := &forward{from: ctx.Sender(), request: m.GetHeader().GetRequest(), msg: proto.Clone(m).(headed), deadline: ctx.Now().Add(g.budget(m.GetHeader()))}
	switch m.(type) {
	case *messages.ListWorkers, *messages.DescribeMaster:
		f.deadline = ctx.Now().Add(min(g.budget(m.GetHeader()), questionPatience))
	}
	if len(g.forwards) >= maxForwards {
		g.refuseForward(ctx, f, model.Errorf(model.CodeOverloaded, "ask the master", "%d questions are under way; try again", maxForwards))
		return
	}
	g.nextID++
	g.forwards[g.nextID] = f
	if h := f.msg.GetHeader(); h != nil {
		h.Request = g.nextID
	}
	g.sendForward(ctx, f)
}

func (g *Gateway) sendForward(ctx *runtime.Context, f *forward) {
	if g.master.GetReady() && !f.sent {
		f.sent = true
		ctx.Request(g.onMasterNode(ctx, g.answererOf(f.msg)), f.msg)
	}
}

func (g *Gateway) onForwarded(ctx *runtime.Context, m headed) {
	f := g.forwards[m.GetHeader().GetRequest()]
	if f == nil {
		return
	}
	delete(g.forwards, m.GetHeader().GetRequest())
	answer := proto.Clone(m).(headed)
	answer.GetHeader().Request = f.request
	ctx.Send(f.from, answer)
}

// sweepForwards sends what waited for a master and ends what is late.
func (g *Gateway) sweepForwards(ctx *runtime.Context, now time.Time) {
	for _, id := range slices.Sorted(maps.Keys(g.forwards)) {
		f := g.forwards[id]
		if now.After(f.deadline) {
			delete(g.forwards, id)
			g.refuseForward(ctx, f, g.noMaster("ask the master"))
			continue
		}
		g.sendForward(ctx, f)
	}
}

// noMaster says that there was none in time, and what is known of why.
func (g *Gateway) noMaster(op string) error {
	if g.reason == "" {
		return model.Errorf(model.CodeNoMaster, op, "no master answered within the time allowed")
	}
	return model.Errorf(model.CodeNoMaster, op, "no master answered within the time allowed: %s", g.reason)
}

func (g *Gateway) refuseForward(ctx *runtime.Context, f *forward, err error) {
	if r := refusalOf(f.msg, &messages.Header{Request: f.request}, messages.FromError(err)); r != nil {
		ctx.Send(f.from, r)
	}
}

// answererOf is the path of the master's actor that answers a question.
func (g *Gateway) answererOf(question proto.Message) string {
	switch question.(type) {
	case *messages.StartRebalance, *messages.DrainWorker, *messages.StartScrub, *messages.ListJobs, *messages.ChangeJob,
		*messages.DescribeReplication, *messages.ChangeTier, *messages.ChangeSettings:
		return g.cfg.ForemanPath
	case *messages.ExplainPlacement:
		return g.cfg.CoordinatorPath
	case *messages.ListQuotas, *messages.ChangeQuota, *messages.VerifyQuotas:
		return g.cfg.BursarPath
	case *messages.PrepareBackup, *messages.DescribeArchive:
		return g.cfg.ArchivistPath
	case *messages.FetchSnapshot:
		return g.cfg.CatalogPath
	}
	return g.cfg.ControllerPath
}

// refusalOf is an error in the form of the question's own reply, nil for what is no
// question.
func refusalOf(question proto.Message, h *messages.Header, e *messages.Error) proto.Message {
	switch question.(type) {
	case *messages.ListWorkers:
		return &messages.ListWorkersReply{Header: h, Error: e}
	case *messages.DescribeMaster:
		return &messages.DescribeMasterReply{Header: h, Error: e}
	case *messages.PromoteWorker:
		return &messages.PromoteWorkerReply{Header: h, Error: e}
	case *messages.RemoveNode:
		return &messages.RemoveNodeReply{Header: h, Error: e}
	case *messages.ReleaseBrake:
		return &messages.ReleaseBrakeReply{Header: h, Error: e}
	case *messages.InstallLicense:
		return &messages.InstallLicenseReply{Header: h, Error: e}
	case *messages.StartRebalance, *messages.DrainWorker, *messages.StartScrub:
		return &messages.StartJobReply{Header: h, Error: e}
	case *messages.ListJobs, *messages.ChangeJob:
		return &messages.ListJobsReply{Header: h, Error: e}
	case *messages.DescribeReplication:
		return &messages.DescribeReplicationReply{Header: h, Error: e}
	case *messages.ExplainPlacement:
		return &messages.ExplainPlacementReply{Header: h, Error: e}
	case *messages.ChangeTier, *messages.ChangeSettings:
		return &messages.ChangeClusterReply{Header: h, Error: e}
	case *messages.ListQuotas:
		return &messages.ListQuotasReply{Header: h, Error: e}
	case *messages.ChangeQuota:
		return &messages.ChangeQuotaReply{Header: h, Error: e}
	case *messages.VerifyQuotas:
		return &messages.VerifyQuotasReply{Header: h, Error: e}
	case *messages.PrepareBackup:
		return &messages.PrepareBackupReply{Header: h, Error: e}
	case *messages.FetchSnapshot:
		return &messages.FetchSnapshotReply{Header: h, Error: e}
	case *messages.DescribeArchive:
		return &messages.DescribeArchiveReply{Header: h, Error: e}
	}
	return nil
}
