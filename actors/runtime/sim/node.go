package sim

import (
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/store"
)

// Node is one simulated machine: an identity, a disk and a clock that outlive
// the processes (incarnations) that run on it.
type Node struct {
	world       *World
	id          model.NodeID // its address, too
	identity    model.NodeID // what its process says it is: id, unless its disk is a copy
	fs          *store.MemFS // of the running process, or what the next one finds
	incarnation uint64
	boot        func(rt runtime.Runtime) error
	proc        *process // nil while the node is down
	latest      *process // the running process, or the last one
	halted      error

	pausedUntil time.Duration
	parked      []*event // due while paused, in order

	diskHangsUntil time.Duration

	clock    time.Duration // the node's clock less the epoch, at clockSet
	clockSet time.Duration
	rate     float64
}

// ID is the node's identity.
func (n *Node) ID() model.NodeID { return n.id }

// Up reports whether a process runs.
func (n *Node) Up() bool { return n.proc != nil }

// Runtime is the running process, or the last one; what is sent to actors of a
// dead one is lost.
func (n *Node) Runtime() runtime.Runtime { return n.latest }

// Counters are those of the running process, or of the last one.
func (n *Node) Counters() *runtime.Counters { return n.latest.Counters() }

// FS is the disk: of the running process, or what the next one will find.
func (n *Node) FS() *store.MemFS { return n.fs }

// Incarnation is that of the running process, or of the last one.
func (n *Node) Incarnation() uint64 { return n.incarnation }

// Halted is why the node ended itself, or why its last boot failed; nil when it
// runs or was crashed from outside.
func (n *Node) Halted() error { return n.halted }

// start makes a process and boots it.
func (n *Node) start() {
	n.halted = nil
	p := newProcess(n)
	n.proc, n.latest = p, p
	n.world.record(p, "", "boot", "", nil)
	outer := n.world.running
	boot := &event{proc: p, fn: func() {
		if err := n.boot(p); err != nil && !p.dead {
			n.halted = model.Errorf(model.CodeOf(err), "boot", "the node %s did not boot: %w", n.id, err)
			n.down(false)
		}
	}}
	n.world.execute(boot)
	n.world.running = outer
}

// Crash ends the process at once: nothing it had under way happens any more.
// With powerLoss the disk loses or tears what was not synced. Whoever watched
// an actor here hears of it after the detection delay.
func (n *Node) Crash(powerLoss bool) {
	if n.proc != nil {
		n.down(powerLoss)
	}
}

// CrashAfter crashes the node in the middle of the n-th mutating disk operation
// from now, see store.MemFS.CrashAfter. It holds for the running process only.
func (n *Node) CrashAfter(operations int, powerLoss bool) {
	p := n.proc
	if p == nil {
		return
	}
	n.fs.CrashAfter(operations, func() {
		if p.dead {
			return
		}
		n.down(powerLoss)
		if n.world.running == p {
			panic(runtime.Unwind{Node: n.id}) // the code that wrote is no more
		}
	})
}

// Restart boots a crashed node with what its disk kept, as the next incarnation.
// A running node is crashed first, without power loss.
func (n *Node) Restart() {
	n.Crash(false)
	n.incarnation++
	n.start()
}

// Pause stops the process for d, as SIGSTOP does: its clock goes on, and what
// was due meanwhile happens afterwards, in order.
func (n *Node) Pause(d time.Duration) {
	w := n.world
	n.pausedUntil = max(n.pausedUntil, w.now+d)
	w.record(n.proc, "", "pause", "", nil)
	w.At(d, n.resume)
}

func (n *Node) resume() {
	if n.world.now < n.pausedUntil {
		return
	}
	parked := n.parked
	n.parked = nil
	for _, e := range parked {
		if !e.cancelled {
			// Before everything that falls due from now on, in the order they fell due.
			n.world.seq++
			e.at, e.tie, e.seq = n.world.now, 0, n.world.seq
			n.world.queue.push(e)
		}
	}
}

// HangDisk lets everything that is asked of the disk wait for d from now, as a bus
// reset or a frozen file system does: nothing fails, and in the end all of it happens.
func (n *Node) HangDisk(d time.Duration) {
	n.diskHangsUntil = max(n.diskHangsUntil, n.world.now+d)
	n.world.record(n.proc, "", "disk hangs", "", nil)
}

// DiskHangs reports whether the disk answers nothing at the moment.
func (n *Node) DiskHangs() bool { return n.world.now < n.diskHangsUntil }

// SetClockRate lets the node's clock run rate times as fast as the world's.
// Timers that are already pending keep their moment.
func (n *Node) SetClockRate(rate float64) {
	n.clock, n.clockSet = n.elapsed(), n.world.now
	n.rate = rate
}

// elapsed is the node's clock less the epoch.
func (n *Node) elapsed() time.Duration {
	return n.clock + time.Duration(float64(n.world.now-n.clockSet)*n.rate)
}

// worldly is how long a span of the node's clock takes in the world.
func (n *Node) worldly(d time.Duration) time.Duration {
	if n.rate == 1 {
		return d
	}
	return time.Duration(float64(d) / n.rate)
}

// down makes the process and everything it had pending void.
func (n *Node) down(powerLoss bool) {
	w, p := n.world, n.proc
	kind := "crash"
	if powerLoss {
		kind = "power loss"
	}
	w.record(p, "", kind, "", nil)
	p.dead = true
	n.proc = nil
	n.pausedUntil, n.parked = 0, nil
	n.diskHangsUntil = 0
	n.fs = n.fs.Crash(w.random, powerLoss)
	w.nodeLost(n)
}
