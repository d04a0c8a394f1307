package controller

import (
	"fmt"
	goruntime "runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/messages"
)

// Options of a run.
type Options struct {
	Workers  int
	Seed     uint64
	Interval time.Duration // of heartbeats
	Killed   int           // at once, to see how soon that is noticed
	// Measuring is called when a part ("join", "serve") begins; what it returns, when
	// that is over. Nil: nobody profiles.
	Measuring func(part string) (done func())
}

func (o *Options) measuring(part string) (done func()) {
	if o.Measuring == nil {
		return func() {}
	}
	return o.Measuring(part)
}

// Result is what one size of cluster cost the master's node.
type Result struct {
	Workers int

	Baseline  turns // an actor that decodes a heartbeat and answers, and does nothing else
	Heartbeat turns // at the controller
	Allocs    turns // at the controller, the same
	Baselines turns // allocations of the baseline

	// Processor time per worker and heartbeat interval, by part of the master's node.
	Controller, Coordinator, Catalog, Node time.Duration

	// Processor time per worker of all joining at once, and how long that took in the world.
	JoinController, JoinNode time.Duration
	JoinTook                 time.Duration

	// Bytes of heap per worker.
	ControllerBytes, CoordinatorBytes, NodeBytes int64

	Detected [3]span // degraded, unreachable, decommissioned
	False    int     // transitions of workers that lived
	Oversize uint64  // messages of the master that were too large to travel
	Took     time.Duration
}

// span is the least, the mean and the greatest number of heartbeat intervals.
type span struct{ Least, Mean, Most float64 }

// intervals of the measured parts.
const (
	intervalsMeasured = 2
	baselineBeats     = 3000
)

// Run measures one size.
func Run(o Options) (Result, error) {
	defer sim.DeterministicRand(o.Seed)()
	goruntime.LockOSThread() // the clock is this thread's
	defer goruntime.UnlockOSThread()
	began := time.Now()
	c, err := newCluster(o)
	if err != nil {
		return Result{}, err
	}
	r := Result{Workers: o.Workers}
	for range o.Workers {
		c.swarm.add()
	}
	if err := c.baseline(&r); err != nil {
		return r, err
	}
	for _, phase := range []func(*Result, Options) error{c.join, c.serve, c.kill} {
		if err := phase(&r, o); err != nil {
			return r, err
		}
		if err := c.checkAlive(); err != nil {
			return r, err
		}
	}
	r.Oversize = c.oversize()
	c.weigh(&r)
	r.Took = time.Since(began)
	return r, nil
}

// baselinePath is where the actor is that only answers.
const baselinePath = "baseline"

type answering struct{}

// Receive answers a heartbeat as the controller does.
func (answering) Receive(ctx *runtime.Context, msg any) {
	m, ok := msg.(*messages.Heartbeat)
	if !ok {
		return
	}
	ack := &messages.HeartbeatAck{Header: messages.ReplyHeader(m.Header), Node: string(ctx.Runtime().Node()), EpochTerm: 1, Sequence: m.Sequence, IntervalMs: 30_000}
	ctx.Reply(ack)
}

// baseline measures what a heartbeat costs before any work is done about it.
func (c *cluster) baseline(r *Result) error {
	rt := c.real[0].node.Runtime()
	pid, err := rt.SpawnRoot(baselinePath, func() runtime.Actor { return answering{} })
	if err != nil {
		return fmt.Errorf("spawn the baseline: %w", err)
	}
	w := c.swarm.workers[0]
	for _, m := range []mode{processor, allocations} {
		c.meter.begin(m)
		to := actor.NewPID(string(c.meter.node), pid.Id)
		for i := range baselineBeats {
			w.send(memberPath, to, w.heartbeat(uint64(i)))
			c.world.Run(time.Millisecond)
		}
		c.world.Run(time.Second)
		if t := *c.meter.of(pid.Id, heartbeatName); m == processor {
			r.Baseline = t
		} else {
			r.Baselines = t
		}
	}
	c.meter.begin(nothing)
	return nil
}

// join lets all workers greet at once.
func (c *cluster) join(r *Result, o Options) error {
	from := c.world.Elapsed()
	defer o.measuring("join")()
	c.meter.begin(processor)
	for _, w := range c.swarm.workers {
		w.join()
	}
	in := func() bool { return c.swarm.accepted == o.Workers }
	if !c.world.RunUntil(in, 30*time.Minute) {
		return fmt.Errorf("%d of %d workers were taken in within 30 virtual minutes", c.swarm.accepted, o.Workers)
	}
	r.JoinTook = c.world.Elapsed() - from
	r.JoinController = each(c.meter.actor(controllerPath), o.Workers)
	r.JoinNode = each(c.meter.everybody(), o.Workers)
	c.meter.begin(nothing)
	return nil
}

// serve measures the everyday: heartbeats, reports, looks, words.
func (c *cluster) serve(r *Result, o Options) error {
	c.world.Run(o.Interval + 2*time.Second) // everybody has begun to beat
	done := o.measuring("serve")
	c.meter.begin(processor)
	c.world.Run(intervalsMeasured * o.Interval)
	done()
	r.Heartbeat = *c.meter.of(controllerPath, heartbeatName)
	if r.Heartbeat.Count < o.Workers*intervalsMeasured*9/10 {
		return fmt.Errorf("only %d heartbeats of %d workers arrived in %d intervals", r.Heartbeat.Count, o.Workers, intervalsMeasured)
	}
	shares := o.Workers * intervalsMeasured
	r.Controller = each(c.meter.actor(controllerPath), shares)
	r.Coordinator = each(c.meter.actor(coordinatorPath), shares)
	r.Catalog = each(c.meter.actor(catalogPath), shares)
	r.Node = each(c.meter.everybody(), shares)
	c.meter.begin(allocations)
	c.world.Run(o.Interval)
	r.Allocs = *c.meter.of(controllerPath, heartbeatName)
	c.meter.begin(nothing)
	return nil
}

// kill lets some workers fall silent, each at its own moment, and reads from the
// catalog when the log had it.
func (c *cluster) kill(r *Result, o Options) error {
	died := make(map[string]time.Time)
	for i := range o.Killed {
		w := c.swarm.workers[i*len(c.swarm.workers)/o.Killed]
		w.dead = true
		died[string(w.node.ID())] = w.lastBeat
	}
	c.world.Run(11 * o.Interval)
	seen := [len(r.Detected)]int{}
	nodes, rows := c.catalog().Workers()
	for i, node := range nodes {
		last, dead := died[node]
		if !dead {
			r.False += len(rows[i].Transitions)
			continue
		}
		for _, t := range rows[i].Transitions {
			step := int(t.To - messages.WorkerState_DEGRADED)
			if step < 0 || step >= len(r.Detected) {
				return fmt.Errorf("%s went to %s", node, t.To)
			}
			after := float64(time.UnixMilli(t.AtUnixMs).Sub(last)) / float64(o.Interval)
			d := &r.Detected[step]
			if seen[step]++; seen[step] == 1 {
				d.Least = after
			}
			d.Least, d.Most = min(d.Least, after), max(d.Most, after)
			d.Mean += (after - d.Mean) / float64(seen[step])
		}
	}
	for step, n := range seen {
		if n != o.Killed {
			return fmt.Errorf("%d of %d dead workers took step %d", n, o.Killed, step+1)
		}
	}
	return nil
}

// weigh stops the master's actors one after the other and sees what was theirs.
// What two of them share, as rows, counts for the last one.
func (c *cluster) weigh(r *Result) {
	with := heap()
	weight := func(path string) int64 {
		c.stop(path)
		without := heap()
		freed := with - without
		with = without
		return freed / int64(r.Workers)
	}
	r.ControllerBytes = weight(controllerPath)
	r.CoordinatorBytes = weight(coordinatorPath)
	r.NodeBytes = r.ControllerBytes + r.CoordinatorBytes + weight("node")
}

func heap() int64 {
	goruntime.GC()
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
