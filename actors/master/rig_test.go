package master

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"go.etcd.io/raft/v3/raftpb"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/model"
	"tiercel/messages"
)

const rigInterval = 300 * time.Millisecond

// rig is one actor of the master tree in a simulated world; the log, the catalog and
// everybody else are played by the test.
type rig struct {
	t       *testing.T
	world   *sim.World
	cfg     Config
	status  *messages.ClusterStatusReply // what the catalog answers
	conf    *raftpb.ConfState
	applied uint64
	logged  []*messages.Command          // in order
	voters  func(*messages.ChangeVoters) // hears of changes; nil: nobody does
	refuse  map[string]string            // node -> code with which the catalog refuses to register it
}

// actorFunc is an actor that is a function.
type actorFunc func(ctx *runtime.Context, msg any)

func (f actorFunc) Receive(ctx *runtime.Context, msg any) { f(ctx, msg) }

// newRig knows a master "m" and workers "w-1" to "w-<n>", which are nodes of the
// world without actors until somebody listens there.
func newRig(t *testing.T, workers int) *rig {
	r := &rig{
		t: t, world: sim.NewWorld(1, sim.Options{}), conf: &raftpb.ConfState{Voters: []uint64{1}}, refuse: make(map[string]string),
		cfg: Config{
			Term: 7, Generation: 1, RaftID: 1, LogPath: "log", CatalogPath: "catalog", WorkerPath: "worker", MemberPath: "member", CoordinatorPath: "coordinator",
			VolumesOpen: 1, HashEvery: 1 << 40, ReconcileTick: time.Second, HeartbeatInterval: rigInterval, MasterInterval: 100 * time.Millisecond, BrakeShare: 0.3,
		},
		status: &messages.ClusterStatusReply{Cluster: &messages.ClusterRow{ClusterId: "c", Generation: 1, Term: 7, Master: "m", ReplicationFactor: 2, Settings: &messages.Settings{WarnUsedShare: 0.8}, License: &messages.LicenseRow{Id: "l", Level: "enterprise", ExpiresUnixMs: math.MaxInt64, SeenUnixMs: math.MaxInt64 - 1}}},
	}
	r.addRow("m", 1)
	for i := range workers {
		r.addRow(fmt.Sprintf("w-%d", i+1), uint64(100+i))
	}
	r.world.Client("m")
	r.spawn("m", "catalog", r.catalog)
	r.spawn("m", "log", r.log)
	return r
}

func (r *rig) spawn(node, path string, f actorFunc) {
	n := r.world.Node(model.NodeID(node))
	if n == nil {
		n = r.world.Client(node)
	}
	_, err := n.Runtime().SpawnRoot(path, func() runtime.Actor { return f })
	require.NoError(r.t, err)
}

// controller spawns the actor that is tested; the coordinator is played.
func (r *rig) controller() {
	r.spawn("m", "coordinator", r.coordinator)
	_, err := r.world.Node("m").Runtime().SpawnRoot("controller", func() runtime.Actor { return newController(r.cfg) })
	require.NoError(r.t, err)
	r.world.Run(rigInterval) // it has looked at the catalog and at the log
	require.Empty(r.t, r.logged)
}

func (r *rig) addRow(node string, raftID uint64) *messages.WorkerRow {
	r.applied++
	row := &messages.WorkerRow{
		Address: node, DiskType: "ssd", Incarnation: 5, RaftId: raftID, State: messages.WorkerState_HEALTHY, RegisteredAt: r.applied, ChangedAt: r.applied,
	}
	r.insert(node, row)
	return row
}

func (r *rig) row(node string) *messages.WorkerRow {
	for i, n := range r.status.WorkerNodes {
		if n == node {
			return r.status.Workers[i]
		}
	}
	return nil
}

func (r *rig) catalog(ctx *runtime.Context, msg any) {
	if m, ok := msg.(*messages.Lookup); ok {
		r.status.Applied = r.applied
		ctx.Reply(&messages.LookupReply{Header: messages.ReplyHeader(m.Header), Answers: []*messages.LookupAnswer{{Kind: &messages.LookupAnswer_Status{Status: r.status}}}})
	}
}

func (r *rig) log(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *messages.ChangeVoters:
		if r.voters != nil {
			r.voters(m)
		}
	case *messages.DescribeLog:
		conf, err := proto.Marshal(r.conf)
		require.NoError(r.t, err)
		ctx.Reply(&messages.DescribeLogReply{Leading: true, ConfState: conf, Term: 7, RaftId: 1})
	}
}

// coordinator takes every command, and does to the rows what the catalog would.
func (r *rig) coordinator(ctx *runtime.Context, msg any) {
	m, ok := msg.(*messages.Commit)
	if !ok {
		return
	}
	reply := &messages.CommitReply{Header: messages.ReplyHeader(m.Header)}
	for _, cmd := range m.Commands {
		r.logged = append(r.logged, cmd)
		r.applied++
		result := &messages.CommandResult{}
		if reg := cmd.GetRegisterWorker(); reg != nil {
			if result.Code = r.refuse[reg.Node]; result.Code == "" {
				r.register(reg)
			}
		}
		if change := cmd.GetChangeWorkerState(); change != nil {
			r.row(change.Node).State = change.To
		}
		reply.Outcomes = append(reply.Outcomes, &messages.CommitOutcome{Proposal: cmd.Proposal, Result: result, Index: r.applied})
	}
	ctx.Reply(reply)
}

func (r *rig) register(reg *messages.RegisterWorker) {
	row := proto.CloneOf(reg.Worker)
	row.State, row.ChangedAt, row.RegisteredAt = messages.WorkerState_HEALTHY, r.applied, r.applied
	for i, n := range r.status.WorkerNodes {
		if n == reg.Node {
			r.status.Workers[i] = row
			return
		}
	}
	r.insert(reg.Node, row)
}

// insert keeps the order of nodes, as the catalog does.
func (r *rig) insert(node string, row *messages.WorkerRow) {
	i, _ := slices.BinarySearch(r.status.WorkerNodes, node)
	r.status.WorkerNodes, r.status.Workers = slices.Insert(r.status.WorkerNodes, i, node), slices.Insert(r.status.Workers, i, row)
}

// registrations are those that were logged.
func (r *rig) registrations() (out []*messages.RegisterWorker) {
	for _, cmd := range r.logged {
		if reg := cmd.GetRegisterWorker(); reg != nil {
			out = append(out, reg)
		}
	}
	return out
}

// process is one that says it is a node, at an address of its own.
type process struct {
	rig     *rig
	node    string // what it says
	address string
	number  uint64 // of its start
	boot    uint64
	silent  bool // does not say that it is there
	heard   []any
}

// process boots one at an address.
func (r *rig) process(address, node string, incarnation, boot uint64) *process {
	p := &process{rig: r, node: node, address: address, number: incarnation, boot: boot}
	r.spawn(address, "member", func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *messages.AreYouThere:
			p.heard = append(p.heard, m)
			if !p.silent {
				ctx.Reply(&messages.IAmHere{Header: messages.ReplyHeader(m.Header), Node: node, Incarnation: incarnation, Boot: boot})
			}
		case *messages.HeartbeatAck, *messages.GreetReply, *messages.MasterReady:
			p.heard = append(p.heard, m)
		}
	})
	return p
}

func (p *process) row() *messages.WorkerRow {
	return &messages.WorkerRow{Address: p.address, DiskType: "ssd", Incarnation: p.number, RaftId: p.rig.row(p.node).GetRaftId()}
}

func (p *process) send(path string, msg proto.Message) {
	host := p.rig.world.Node(model.NodeID(p.address)).Runtime().(runtime.Host)
	host.System().Root.RequestWithCustomSender(host.Peer("m", path), msg, host.Local("member"))
}

// beat sends a heartbeat.
func (p *process) beat() {
	p.send("controller", &messages.Heartbeat{
		Header: &messages.Header{}, Node: p.node, Incarnation: p.number, Boot: p.boot, Address: p.address, Worker: p.row(),
		Capacity: &messages.CapacityReport{Node: p.node, TotalBytes: 100, FreeBytes: 50}, ClusterId: "c",
	})
}

// greet asks to be taken in.
func (p *process) greet() {
	row := p.row()
	if row.RaftId == 0 {
		row.RaftId = p.boot
	}
	p.send("controller", &messages.Greet{
		Header: &messages.Header{}, Node: p.node, Incarnation: p.number, Boot: p.boot, Address: p.address, RaftId: row.RaftId, Worker: row,
	})
}

// newest is the last message of a type that was heard.
func newest[M any](p *process) (m M, ok bool) {
	for _, h := range p.heard {
		if x, is := h.(M); is {
			m, ok = x, true
		}
	}
	return m, ok
}
