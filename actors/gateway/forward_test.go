package gateway

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/model"
	"tiercel/messages"
)

type actorFunc func(ctx *runtime.Context, msg any)

func (f actorFunc) Receive(ctx *runtime.Context, msg any) { f(ctx, msg) }

// question is one that a gateway passes on, with the actor of the master that answers.
type question struct {
	answerer string
	msg      headed
}

func questions() []question {
	h := func() *messages.Header { return &messages.Header{} }
	return []question{
		{"controller", &messages.ListWorkers{Header: h()}},
		{"controller", &messages.DescribeMaster{Header: h()}},
		{"controller", &messages.PromoteWorker{Header: h()}},
		{"controller", &messages.RemoveNode{Header: h()}},
		{"controller", &messages.ReleaseBrake{Header: h()}},
		{"foreman", &messages.StartRebalance{Header: h()}},
		{"foreman", &messages.DrainWorker{Header: h()}},
		{"foreman", &messages.StartScrub{Header: h()}},
		{"foreman", &messages.ListJobs{Header: h()}},
		{"foreman", &messages.ChangeJob{Header: h()}},
		{"foreman", &messages.DescribeReplication{Header: h()}},
		{"foreman", &messages.ChangeTier{Header: h()}},
		{"foreman", &messages.ChangeSettings{Header: h()}},
		{"coordinator", &messages.ExplainPlacement{Header: h()}},
		{"bursar", &messages.ListQuotas{Header: h()}},
		{"bursar", &messages.ChangeQuota{Header: h()}},
		{"bursar", &messages.VerifyQuotas{Header: h()}},
	}
}

// failing is an answer with an error in it.
type failing interface {
	headed
	GetError() *messages.Error
}

// forwardRig is a gateway on one node and a master on another, in a simulated world.
type forwardRig struct {
	t     *testing.T
	world *sim.World
	asked map[string]string  // name of a question -> path of the actor that got it
	heard map[uint64]failing // by the number of the question
	mute  bool               // the master answers nothing
}

func newForwardRig(t *testing.T) *forwardRig {
	r := &forwardRig{t: t, world: sim.NewWorld(1, sim.Options{}), asked: make(map[string]string), heard: make(map[uint64]failing)}
	r.world.Client("here")
	r.world.Client("there")
	r.spawn("here", "gateway", func() runtime.Actor {
		return New(Config{
			CoordinatorPath: "coordinator", ControllerPath: "controller", ForemanPath: "foreman", BursarPath: "bursar", LogPath: "log", CatalogPath: "catalog", MemberPath: "member",
			DefaultBudget: 2 * time.Second,
		})
	})
	for _, path := range []string{"controller", "foreman", "coordinator", "bursar"} {
		r.spawn("there", path, func() runtime.Actor {
			return actorFunc(func(ctx *runtime.Context, msg any) {
				m, ok := msg.(headed)
				if !ok || refusalOf(m, nil, nil) == nil {
					return
				}
				r.asked[name(m)] = path
				if !r.mute {
					ctx.SendBulk(ctx.Sender(), refusalOf(m, messages.ReplyHeader(m.GetHeader()), &messages.Error{Code: "conflict", Message: "from " + path}))
				}
			})
		})
	}
	return r
}

func name(m headed) string { return string(m.ProtoReflect().Descriptor().Name()) }

func (r *forwardRig) spawn(node, path string, producer runtime.Producer) {
	_, err := r.world.Node(model.NodeID(node)).Runtime().SpawnRoot(path, producer)
	require.NoError(r.t, err)
}

// ask puts every question to the gateway, after it has heard of a master or not.
func (r *forwardRig) ask(master *messages.MasterReady) {
	r.spawn("here", "asker", func() runtime.Actor {
		return actorFunc(func(ctx *runtime.Context, msg any) {
			switch m := msg.(type) {
			case *actor.Started:
				to := ctx.Runtime().Local("gateway")
				if master != nil {
					ctx.Send(to, master)
				}
				for i, q := range questions() {
					q.msg.GetHeader().Request = uint64(100 + i)
					ctx.Request(to, q.msg)
				}
			case failing:
				r.heard[m.GetHeader().GetRequest()] = m
			}
		})
	})
}

func master() *messages.MasterReady {
	return &messages.MasterReady{Node: "there", EpochGeneration: 1, EpochTerm: 1, Ready: true}
}

func TestForward_EveryQuestionReachesTheActorThatAnswersItAndComesBack(t *testing.T) {
	r := newForwardRig(t)
	r.ask(master())
	r.world.Run(time.Second)
	for i, q := range questions() {
		assert.Equal(t, q.answerer, r.asked[name(q.msg)], name(q.msg))
		answer := r.heard[uint64(100+i)]
		if assert.NotNil(t, answer, name(q.msg)) {
			assert.Equal(t, "from "+q.answerer, answer.GetError().GetMessage(), name(q.msg))
			assert.Equal(t, name(refusalOf(q.msg, nil, nil).(headed)), name(answer), "in the form of its own reply")
		}
	}
}

func TestForward_WaitsForAMasterAndIsRefusedWhenNoneAnswers(t *testing.T) {
	for what, ready := range map[string]*messages.MasterReady{"no master": nil, "a master that is silent": master()} {
		r := newForwardRig(t)
		r.mute = true
		r.ask(ready)
		r.world.Run(time.Second)
		assert.Empty(t, r.heard, "%s: its time is not over", what)
		r.world.Run(2 * time.Second)
		for i, q := range questions() {
			if answer := r.heard[uint64(100+i)]; assert.NotNil(t, answer, "%s: %s", what, name(q.msg)) {
				assert.Equal(t, "no_master", answer.GetError().GetCode(), name(q.msg))
			}
		}
	}
}
