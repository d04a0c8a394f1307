package sim

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// route names one direction between two nodes.
type route struct{ from, to model.NodeID }

// link is one direction between two nodes: first in, first out, until it breaks.
type link struct {
	cut    bool
	breaks uint64        // what was sent before the last break is lost ...
	grace  time.Duration // ... unless it is due by then
	last   time.Duration // delivery of the newest message
	delay  *Span         // nil: the world's
}

func (w *World) link(from, to model.NodeID) *link {
	r := route{from, to}
	l := w.links[r]
	if l == nil {
		l = &link{}
		w.links[r] = l
	}
	return l
}

// frame is a message on its way to an actor of another node.
type frame struct {
	target  string
	sender  *actor.PID // nil: none
	payload []byte     // an encoded Envelope, or nil when system is set
	system  any        // a fresh *actor.Watch or *actor.Terminated
	name    string     // of the message's type
}

// resolve implements actor.AddressResolver: every address but our own is over
// the network.
func (p *process) resolve(pid *actor.PID) (actor.Process, bool) {
	return &remote{proc: p, to: model.NodeID(pid.Address)}, true
}

// remote is the local end of all actors of another node.
type remote struct {
	proc *process
	to   model.NodeID
}

// SendUserMessage implements actor.Process.
func (r *remote) SendUserMessage(pid *actor.PID, message any) {
	_, msg, sender := actor.UnwrapEnvelope(message)
	envelope, err := runtime.Seal(r.proc, msg)
	r.proc.ship(pid, sender, envelope, err)
}

// SendBulk implements runtime.Host.
func (p *process) SendBulk(pid, sender *actor.PID, msg proto.Message) {
	envelope, err := runtime.SealBulk(p, msg)
	p.ship(pid, sender, envelope, err)
}

// ship transmits what was sealed.
func (p *process) ship(pid, sender *actor.PID, envelope *messages.Envelope, err error) {
	if err != nil {
		runtime.Refuse(p, pid, err)
		return
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(envelope)
	if err != nil {
		runtime.Refuse(p, pid, err)
		return
	}
	p.transmit(model.NodeID(pid.Address), &frame{target: pid.Id, sender: sender, payload: payload, name: envelope.GetType()})
}

// SendSystemMessage implements actor.Process. Only death-watch crosses a network.
func (r *remote) SendSystemMessage(pid *actor.PID, message any) {
	switch m := message.(type) {
	case *actor.Watch:
		r.proc.watchRemote(r.to, m.Watcher.Id, pid.Id)
	case *actor.Terminated:
		gone := &actor.Terminated{Who: actor.NewPID(m.Who.Address, m.Who.Id), Why: m.Why}
		r.proc.transmit(r.to, &frame{target: pid.Id, system: gone, name: "actor.Terminated"})
	default:
		r.proc.counters.RefusedFrames.Add(1)
	}
}

// Stop implements actor.Process: an actor of another node cannot be stopped.
func (r *remote) Stop(*actor.PID) { r.proc.counters.RefusedFrames.Add(1) }

// transmit puts a frame on its link, as chaos will have it.
func (p *process) transmit(to model.NodeID, f *frame) {
	w := p.world
	if p.dead {
		return
	}
	l := w.link(p.node.id, to)
	if l.cut || w.byID[to] == nil {
		p.counters.UnreachablePeers.Add(1)
		w.record(p, f.target, "lost", f.name, f.payload)
		return
	}
	if f.system == nil && w.chaos.Drop > 0 && w.random.Float64() < w.chaos.Drop {
		w.record(p, f.target, "dropped", f.name, f.payload)
		return
	}
	if w.tap != nil && f.system == nil {
		w.tap(p.node.id, to, f.name, len(f.payload))
	}
	p.schedule(l, to, f)
	if f.system == nil && w.chaos.Duplicate > 0 && w.random.Float64() < w.chaos.Duplicate {
		p.schedule(l, to, f)
	}
}

// schedule decides when a frame arrives.
func (p *process) schedule(l *link, to model.NodeID, f *frame) {
	w := p.world
	delay := w.options.Network
	if l.delay != nil {
		delay = *l.delay
	}
	due := w.now + w.draw(delay)
	if f.system == nil && w.chaos.Reorder > 0 && w.random.Float64() < w.chaos.Reorder {
		due += w.draw(Span{0, 10 * delay.Max})
	} else {
		due = max(due, l.last+1)
		l.last = due
	}
	breaks := l.breaks
	w.push(nil, due-w.now, func() {
		if l.breaks == breaks || l.breaks == breaks+1 && due <= l.grace {
			w.deliver(to, f)
		}
	})
}

// deliver hands a frame to its actor. While the node is paused it waits in the
// sockets, as everything else there waits.
func (w *World) deliver(to model.NodeID, f *frame) {
	p := w.byID[to].proc
	if p == nil {
		return
	}
	w.record(p, f.target, "deliver", f.name, f.payload)
	p.push(0, func() { p.accept(f) })
}

func (p *process) accept(f *frame) {
	pid := p.system.NewLocalPID(f.target)
	process, _ := p.system.ProcessRegistry.GetLocal(f.target) // the dead letters, when there is none
	if f.system != nil {
		if m, ok := f.system.(*actor.Terminated); ok {
			p.forget(model.NodeID(m.Who.Address), f.target, m.Who.Id)
		}
		process.SendSystemMessage(pid, f.system)
		return
	}
	var envelope messages.Envelope
	if err := proto.Unmarshal(f.payload, &envelope); err != nil {
		p.counters.UnknownEnvelopes.Add(1)
		return
	}
	if f.sender == nil {
		process.SendUserMessage(pid, &envelope)
		return
	}
	process.SendUserMessage(pid, &actor.MessageEnvelope{Message: &envelope, Sender: actor.NewPID(f.sender.Address, f.sender.Id)})
}

// Cut loses everything from one node to another, what is in flight included,
// until Heal. The other direction goes on, but death-watch ends on both sides.
func (w *World) Cut(from, to model.NodeID) {
	w.record(nil, string(from), "cut", string(to), nil)
	l := w.link(from, to)
	l.cut = true
	l.snap(0)
	w.linkLost(from, to)
}

// Partition cuts both directions.
func (w *World) Partition(a, b model.NodeID) {
	w.Cut(a, b)
	w.Cut(b, a)
}

// Isolate partitions a node from every other.
func (w *World) Isolate(id model.NodeID) {
	for _, n := range w.nodes {
		if n.id != id {
			w.Partition(id, n.id)
		}
	}
}

// Heal ends the cuts between two nodes. What was sent meanwhile stays lost.
func (w *World) Heal(a, b model.NodeID) {
	w.record(nil, string(a), "heal", string(b), nil)
	w.link(a, b).cut = false
	w.link(b, a).cut = false
}

// HealAll ends every cut.
func (w *World) HealAll() {
	for i, a := range w.nodes {
		for _, b := range w.nodes[i+1:] {
			w.Heal(a.id, b.id)
		}
	}
}

// SetChaos changes how bad the links are; the zero value ends it.
func (w *World) SetChaos(c Chaos) { w.chaos = c }

// SetDelay gives one direction its own delay.
func (w *World) SetDelay(from, to model.NodeID, s Span) {
	s = Span{max(0, s.Min), max(0, s.Min, s.Max)}
	w.link(from, to).delay = &s
}

// snap breaks the connection: what is in flight and due after grace is lost.
func (l *link) snap(grace time.Duration) {
	l.breaks++
	l.grace = grace
}
