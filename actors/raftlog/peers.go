package raftlog

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// maxFrameBytes bounds the Raft messages of one RaftMessages; one entry of the
// greatest size and its surroundings fit.
const maxFrameBytes = 700 << 10

// peers are the other members of the group, by Raft id.
type peers struct {
	nodes map[uint64]model.NodeID
	heard map[uint64]time.Time // the newest message of each
	sent  map[uint64]time.Time // a snapshot reference that is not settled
}

func newPeers() peers {
	return peers{nodes: make(map[uint64]model.NodeID), heard: make(map[uint64]time.Time), sent: make(map[uint64]time.Time)}
}

// onLogMembers takes over who has which Raft id, from the catalog's rows.
func (l *Log) onLogMembers(m *messages.LogMembers) {
	for _, p := range m.Peers {
		if p.RaftId != 0 {
			l.peers.nodes[p.RaftId] = model.NodeID(p.Node)
		}
	}
}

// send hands Raft's messages to the network, those for one member together.
func (l *Log) send(ctx *runtime.Context, out []*raftpb.Message) {
	if len(out) == 0 {
		return
	}
	id := l.cfg.Identity()
	type frame struct {
		m     *messages.RaftMessages
		bytes int
	}
	var order []uint64
	frames := make(map[uint64]*frame)
	flush := func(to uint64) {
		if f := frames[to]; len(f.m.Messages) > 0 {
			ctx.Request(ctx.Runtime().Peer(l.peers.nodes[to], l.cfg.Path), f.m)
		}
	}
	for _, m := range out {
		to := m.GetTo()
		if _, known := l.peers.nodes[to]; !known || to == l.cfg.RaftID {
			continue // found out by the catalog, or when it speaks; Raft repeats
		}
		if l.withheld(m) {
			continue
		}
		if m.GetType() == raftpb.MessageType_MsgSnap {
			l.peers.sent[to] = ctx.Now()
		}
		data, err := proto.Marshal(m)
		if err != nil {
			ctx.Log().Error("a Raft message cannot be encoded", "error", err)
			continue
		}
		f := frames[to]
		if f == nil || f.bytes+len(data) > maxFrameBytes {
			if f == nil {
				order = append(order, to)
			} else {
				flush(to)
			}
			f = &frame{m: &messages.RaftMessages{
				ClusterId: string(id.ClusterID), Generation: id.Generation, From: l.cfg.RaftID, To: to, Node: string(ctx.Runtime().Node()),
			}}
			frames[to] = f
		}
		f.m.Messages = append(f.m.Messages, data)
		f.bytes += len(data)
	}
	for _, to := range order {
		flush(to)
	}
}

// onRaftMessages steps what another member says.
func (l *Log) onRaftMessages(ctx *runtime.Context, m *messages.RaftMessages) {
	id := l.cfg.Identity()
	switch {
	case l.node == nil || m.To != l.cfg.RaftID || id.ClusterID == "" || m.ClusterId != string(id.ClusterID):
		return // not ours: an earlier life of this address, or another cluster
	case m.Generation < id.Generation:
		ctx.Reply(&messages.Superseded{ClusterId: string(id.ClusterID), Generation: id.Generation, Fork: id.Fork, Node: string(ctx.Runtime().Node())})
		return
	case m.Generation > id.Generation:
		l.onSuperseded(ctx, m.ClusterId, m.Generation, m.Node)
		return
	}
	l.peers.nodes[m.From] = model.NodeID(m.Node)
	l.peers.heard[m.From] = ctx.Now()
	for _, data := range m.Messages {
		var msg raftpb.Message
		if err := proto.Unmarshal(data, &msg); err != nil || msg.GetFrom() != m.From || msg.GetTo() != l.cfg.RaftID {
			ctx.Log().Warn("a Raft message was refused", "node", m.Node, "error", err)
			continue
		}
		if why := l.refusal(&msg); why != "" {
			ctx.Log().Warn("a Raft message was refused", "node", m.Node, "kind", msg.GetType().String(), "reason", why)
			continue
		}
		l.step(ctx, &msg)
	}
	l.lookAtContact(ctx)
	l.pump(ctx)
	l.lookAtStandby(ctx)
}

// refusal says why a message of another member is not for Raft; empty: it is.
func (l *Log) refusal(m *raftpb.Message) string {
	last, err := l.storage.LastIndex()
	if err != nil {
		return err.Error()
	}
	return logconf.Refusal(m, l.cfg.RaftID, last)
}

func (l *Log) step(ctx *runtime.Context, m *raftpb.Message) {
	switch m.GetType() {
	case raftpb.MessageType_MsgApp, raftpb.MessageType_MsgHeartbeat:
		if m.GetTerm() >= l.term {
			l.silence.heard(ctx.Now())
		}
	case raftpb.MessageType_MsgSnap:
		if m.GetTerm() >= l.term {
			l.silence.heard(ctx.Now())
		}
		if l.beginInstall(ctx, m) {
			return // stepped when the catalog has it
		}
	}
	// Raft refuses what is stale or of a stranger; that is its business.
	_ = l.node.Step(m)
}

// onSuperseded ends a member of the log that meets a higher generation: somebody
// took the cluster over while this one was away, and its log may be a fork.
func (l *Log) onSuperseded(ctx *runtime.Context, cluster string, generation uint64, node string) {
	id := l.cfg.Identity()
	if cluster != string(id.ClusterID) || generation <= id.Generation || !logconf.Member(l.conf, l.cfg.RaftID) {
		return
	}
	update := l.cfg.UpdateNode
	ctx.Offload(func() any {
		return &noted{generation: generation, node: node, err: update(func(n *store.NodeFile) { n.SupersededBy = max(n.SupersededBy, generation) })}
	})
}

// noted is the result of writing down that a higher generation was met.
type noted struct {
	generation uint64
	node       string
	err        error
}

func (l *Log) onNoted(ctx *runtime.Context, m *noted) {
	ctx.Runtime().Halt(model.Errorf(model.CodeStaleEpoch, "join log",
		"%s is at generation %d of this cluster: it was taken over while this node was away (noting it: %v). "+
			"Start this node again with --join to set its data aside in quarantine/ and join anew", m.node, m.generation, m.err))
}
