package controller

import (
	"runtime"
	"time"

	"tiercel/cluster/model"
)

// what is measured of a turn.
type mode uint8

const (
	nothing mode = iota
	processor
	allocations // of heartbeats at the controller only: each look stops the world
)

// turns are all those of one actor for one type of message.
type turns struct {
	Count         int
	Processor     time.Duration
	Allocs, Bytes uint64
}

type turnKey struct{ actor, message string }

// meter adds up the turns of one node's actors.
type meter struct {
	node     model.NodeID
	mode     mode
	overhead time.Duration // of looking at the clock
	all      map[turnKey]*turns
}

func newMeter() *meter {
	m := &meter{all: make(map[turnKey]*turns)}
	const looks = 100_000
	first := threadTime()
	for range looks {
		threadTime()
	}
	m.overhead = (threadTime() - first) / looks
	return m
}

// begin forgets what was measured.
func (m *meter) begin(what mode) { m.mode, m.all = what, make(map[turnKey]*turns) }

// around is the world's hook.
func (m *meter) around(node model.NodeID, actor, message string, turn func()) {
	if m.mode == nothing || node != m.node {
		turn()
		return
	}
	heartbeat := message == heartbeatName
	if m.mode == allocations {
		if !heartbeat {
			turn()
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		turn()
		runtime.ReadMemStats(&after)
		t := m.of(actor, message)
		t.Count++
		t.Allocs += after.Mallocs - before.Mallocs
		t.Bytes += after.TotalAlloc - before.TotalAlloc
		return
	}
	before := threadTime()
	turn()
	took := threadTime() - before
	t := m.of(actor, message)
	t.Count++
	t.Processor += max(0, took-m.overhead)
}

func (m *meter) of(actor, message string) *turns {
	k := turnKey{actor, message}
	t := m.all[k]
	if t == nil {
		t = &turns{}
		m.all[k] = t
	}
	return t
}

// actor is the processor time of all turns of one actor.
func (m *meter) actor(path string) (sum time.Duration) {
	for k, t := range m.all {
		if k.actor == path {
			sum += t.Processor
		}
	}
	return sum
}

// node sums all actors.
func (m *meter) everybody() (sum time.Duration) {
	for _, t := range m.all {
		sum += t.Processor
	}
	return sum
}

// each is one of count shares.
func each(sum time.Duration, count int) time.Duration { return sum / time.Duration(max(1, count)) }
