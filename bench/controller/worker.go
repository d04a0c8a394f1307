package controller

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// The paths of the actors that the simulated workers stand for and speak to; the
// same on every node, see actors.Start.
const (
	memberPath      = "node/member"
	workerPath      = "node/worker"
	logPath         = "node/log"
	catalogPath     = "node/catalog"
	coordinatorPath = "node/master/coordinator"
	controllerPath  = "node/master/controller"
)

const (
	greetAgain  = 500 * time.Millisecond // as a real member
	reportEvery = time.Second            // of the disk, as a real worker
	diskBytes   = 4 << 40
	volumeStart = store.DataStart // where an empty volume ends
)

// worker is a simulated one: a node of the world without actors, whose two
// addresses are processes that look at a message's type and answer what a master
// needs to hear. It holds no bytes.
type worker struct {
	swarm    *swarm
	node     *sim.Node
	number   int
	raftID   uint64
	cluster  string // that took it in
	accepted bool
	dead     bool
	beats    uint64
	lastBeat time.Time
	master   *actor.PID                        // hears of the disk
	copies   map[uint64]*messages.VolumeReport // by volume, as a real worker would report them
}

// swarm is all simulated workers of a run.
type swarm struct {
	world    *sim.World
	master   model.NodeID
	interval time.Duration
	workers  []*worker
	accepted int
}

// add boots one worker; it does nothing until it is told to join.
func (s *swarm) add() *worker {
	w := &worker{swarm: s, number: len(s.workers) + 1, raftID: s.world.Rand().Uint64() | 1}
	s.workers = append(s.workers, w)
	w.node = s.world.Client(fmt.Sprintf("w-%05d", w.number))
	registry := w.host().System().ProcessRegistry
	registry.Add(endpoint(w.member), memberPath)
	registry.Add(endpoint(w.orders), workerPath)
	return w
}

func (w *worker) host() runtime.Host { return w.node.Runtime().(runtime.Host) }

// endpoint is a process that hands each message from another node to a function.
type endpoint func(sender *actor.PID, e *messages.Envelope)

// SendUserMessage implements actor.Process.
func (f endpoint) SendUserMessage(_ *actor.PID, message any) {
	_, msg, sender := actor.UnwrapEnvelope(message)
	if e, ok := msg.(*messages.Envelope); ok {
		f(sender, e)
	}
}

// SendSystemMessage implements actor.Process.
func (f endpoint) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (f endpoint) Stop(*actor.PID) {}

// decode reads what an envelope holds; our own encoder wrote it.
func decode[T proto.Message](e *messages.Envelope, m T) T {
	if err := proto.Unmarshal(e.GetPayload(), m); err != nil {
		panic("bench: a message cannot be decoded again: " + err.Error())
	}
	return m
}

func nameOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

var (
	heartbeatName     = nameOf(&messages.Heartbeat{})
	greetReplyName    = nameOf(&messages.GreetReply{})
	areYouThereName   = nameOf(&messages.AreYouThere{})
	reportVolumesName = nameOf(&messages.ReportVolumes{})
	openVolumeName    = nameOf(&messages.OpenVolume{})
	fenceVolumeName   = nameOf(&messages.FenceVolume{})
	settleVolumeName  = nameOf(&messages.SettleVolume{})
	dropCopyName      = nameOf(&messages.DropCopy{})
)

// send is a message of this worker, from one of its addresses.
func (w *worker) send(from string, to *actor.PID, msg proto.Message) {
	h := w.host()
	h.System().Root.RequestWithCustomSender(to, msg, h.Local(from))
}

func (w *worker) peer(path string) *actor.PID { return w.host().Peer(w.swarm.master, path) }

// join greets the master until it is taken in.
func (w *worker) join() {
	if w.accepted || w.dead {
		return
	}
	w.send(memberPath, w.peer(controllerPath), &messages.Greet{
		Header: &messages.Header{}, Node: string(w.node.ID()), Incarnation: 1, Address: string(w.node.ID()), RaftId: w.raftID,
		MaxClusterVersion: 1, Boot: w.raftID, Worker: w.row(),
	})
	w.host().StartTimer(greetAgain, w.join)
}

func (w *worker) row() *messages.WorkerRow {
	return &messages.WorkerRow{
		Address: string(w.node.ID()), DiskType: "hdd", Dc: "dc-1", Rack: fmt.Sprintf("rack-%d", w.number%100), Host: fmt.Sprintf("host-%05d", w.number),
		Version: "bench", Incarnation: 1, RaftId: w.raftID, MaxClusterVersion: 1,
	}
}

// member is what a real member of the same node would hear.
func (w *worker) member(sender *actor.PID, e *messages.Envelope) {
	switch e.GetType() {
	case greetReplyName:
		reply := decode(e, &messages.GreetReply{})
		if w.accepted || !reply.Accepted {
			return
		}
		w.accepted, w.cluster = true, reply.ClusterId
		w.swarm.accepted++
		// Members do not beat in step: each began when it began.
		phase := time.Duration(w.swarm.world.Rand().Int64N(int64(w.swarm.interval)))
		w.host().StartTimer(phase, w.beat)
	case areYouThereName:
		ask := decode(e, &messages.AreYouThere{})
		w.send(memberPath, sender, &messages.IAmHere{Header: messages.ReplyHeader(ask.Header), Node: string(w.node.ID()), Incarnation: 1, Boot: w.raftID})
	}
}

// beat sends one heartbeat and sets the clock for the next.
func (w *worker) beat() {
	if w.dead {
		return
	}
	w.beats++
	w.lastBeat = w.swarm.world.Now()
	w.send(memberPath, w.peer(controllerPath), w.heartbeat(w.beats))
	w.host().StartTimer(w.swarm.interval, w.beat)
}

func (w *worker) heartbeat(number uint64) *messages.Heartbeat {
	return &messages.Heartbeat{
		Header: &messages.Header{}, Node: string(w.node.ID()), Incarnation: 1, Boot: w.raftID, Address: string(w.node.ID()),
		Capacity: w.capacity(), Worker: w.row(), Latency: w.latencies(), Sequence: number, ClusterId: w.cluster,
	}
}

// latencies are those of a few peers, as pings have measured them.
func (w *worker) latencies() []*messages.PeerLatency {
	out := make([]*messages.PeerLatency, 0, 8)
	for i := range 8 {
		out = append(out, &messages.PeerLatency{Node: fmt.Sprintf("w-%05d", w.number+i+1), Micros: int64(200 + 10*i)})
	}
	return out
}

func (w *worker) capacity() *messages.CapacityReport {
	return &messages.CapacityReport{
		Node: string(w.node.ID()), TotalBytes: diskBytes, FreeBytes: diskBytes / 2, UsedBytes: diskBytes / 2, DiskType: "hdd",
		AcceptsWrites: true, WritableBytes: diskBytes / 2, IoLoad: 0.1, IoLoadKnown: true,
	}
}

// report tells the master of the disk.
func (w *worker) report() {
	if w.dead {
		return
	}
	w.host().System().Root.Send(w.master, w.capacity())
	w.host().StartTimer(reportEvery, w.report)
}

// orders is what a real worker of the same node would be told.
func (w *worker) orders(sender *actor.PID, e *messages.Envelope) {
	if w.dead {
		return
	}
	node := string(w.node.ID())
	switch e.GetType() {
	case reportVolumesName:
		ask := decode(e, &messages.ReportVolumes{})
		r := &messages.ReportVolumesReply{Header: messages.ReplyHeader(ask.Header), Node: node, Incarnation: 1, Capacity: w.capacity()}
		for _, id := range slices.Sorted(maps.Keys(w.copies)) {
			if len(ask.Volumes) == 0 || slices.Contains(ask.Volumes, id) {
				r.Volumes = append(r.Volumes, w.copies[id])
			}
		}
		w.send(workerPath, sender, r)
		if w.master == nil {
			w.master = actor.NewPID(sender.Address, coordinatorPath)
			w.host().StartTimer(time.Duration(w.swarm.world.Rand().Int64N(int64(reportEvery))), w.report)
		}
	case openVolumeName:
		m := decode(e, &messages.OpenVolume{})
		w.keep(&messages.VolumeReport{Volume: m.Volume, Tier: m.Tier, Generation: m.Generation, ReplicaGen: m.ReplicaGen, End: volumeStart, Watermark: volumeStart, Writable: true})
		w.send(workerPath, sender, &messages.OpenVolumeReply{Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Generation: m.Generation, Node: node})
	case fenceVolumeName:
		m := decode(e, &messages.FenceVolume{})
		if c := w.copies[m.Volume]; c != nil {
			c.Writable, c.Fenced, c.Sealed = false, true, true
		}
		w.send(workerPath, sender, &messages.FenceVolumeReply{
			Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Generation: m.Generation, Node: node, Watermark: volumeStart, Digest: []byte("empty"),
		})
	case settleVolumeName:
		m := decode(e, &messages.SettleVolume{})
		w.keep(&messages.VolumeReport{
			Volume: m.Volume, Tier: m.Tier, Generation: m.Generation, ReplicaGen: m.ReplicaGen, End: m.SealedEnd, Watermark: m.SealedEnd, Fenced: true, Sealed: true,
		})
		digest := m.Digest
		if len(digest) == 0 {
			digest = []byte("empty")
		}
		w.send(workerPath, sender, &messages.SettleVolumeReply{
			Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Generation: m.Generation, ReplicaGen: m.ReplicaGen, Node: node, End: m.SealedEnd, Digest: digest,
		})
	case dropCopyName:
		m := decode(e, &messages.DropCopy{})
		delete(w.copies, m.Volume)
		w.send(workerPath, sender, &messages.DropCopyReply{Header: messages.ReplyHeader(m.Header), Volume: m.Volume, ReplicaGen: m.ReplicaGen, Node: node})
	}
}

func (w *worker) keep(copy *messages.VolumeReport) {
	if w.copies == nil {
		w.copies = make(map[uint64]*messages.VolumeReport)
	}
	w.copies[copy.Volume] = copy
}
