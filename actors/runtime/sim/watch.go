package sim

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/cluster/model"
)

// watch is one actor here that wants to hear of the end of one there.
type watch struct{ watcher, watchee string }

// watchRemote registers a watch and asks the other node. If that cannot be
// reached, the watcher hears so after the detection delay.
func (p *process) watchRemote(to model.NodeID, watcher, watchee string) {
	entry := watch{watcher, watchee}
	if !slices.Contains(p.watches[to], entry) {
		p.watches[to] = append(p.watches[to], entry)
	}
	w := p.world
	other := w.byID[to]
	if other == nil || other.proc == nil || w.link(p.node.id, to).cut || w.link(to, p.node.id).cut {
		p.detectLoss(to)
		return
	}
	ask := &actor.Watch{Watcher: actor.NewPID(string(p.node.id), watcher)}
	p.transmit(to, &frame{target: watchee, system: ask, name: "actor.Watch"})
}

// forget drops a watch that was answered.
func (p *process) forget(to model.NodeID, watcher, watchee string) {
	p.watches[to] = slices.DeleteFunc(p.watches[to], func(e watch) bool { return e == watch{watcher, watchee} })
}

// detectLoss ends, after a while, all watches of a node that was lost.
func (p *process) detectLoss(of model.NodeID) {
	p.push(p.world.draw(p.world.options.Detect), func() {
		ended := p.watches[of]
		delete(p.watches, of)
		for _, e := range ended {
			process, ok := p.system.ProcessRegistry.GetLocal(e.watcher)
			if !ok {
				continue
			}
			process.SendSystemMessage(p.system.NewLocalPID(e.watcher), &actor.Terminated{
				Who: actor.NewPID(string(of), e.watchee), Why: actor.TerminatedReason_AddressTerminated,
			})
		}
	})
}

// linkLost tells both ends.
func (w *World) linkLost(a, b model.NodeID) {
	for _, r := range [...]route{{a, b}, {b, a}} {
		if n := w.byID[r.from]; n != nil && n.proc != nil {
			n.proc.detectLoss(r.to)
		}
	}
}

// nodeLost breaks every link of a node that went down. What is on its way to it
// is lost; of what it sent, a part is already in the network and still arrives.
func (w *World) nodeLost(gone *Node) {
	for _, n := range w.nodes {
		if n == gone {
			continue
		}
		w.link(n.id, gone.id).snap(0)
		w.link(gone.id, n.id).snap(w.now + w.draw(w.options.Network))
		if n.proc != nil {
			n.proc.detectLoss(gone.id)
		}
	}
}
