package master

import (
	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
)

// Master supervises the tree of one epoch.
type Master struct{ cfg Config }

// New makes the actor.
func New(cfg Config) *Master { return &Master{cfg: cfg} }

// Receive starts the children; their failures are the supervisor's business.
func (m *Master) Receive(ctx *runtime.Context, msg any) {
	if _, ok := msg.(*actor.Started); ok {
		cfg := m.cfg
		ctx.Spawn("coordinator", func() runtime.Actor { return newCoordinator(cfg) })
	}
}
