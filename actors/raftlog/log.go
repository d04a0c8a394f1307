package raftlog

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"tiercel/actors/runtime"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Config is what the log is told by the tree.
type Config struct {
	RaftID             uint64        // random, durable per data directory, never reused
	Tick               time.Duration // one Raft tick
	HeartbeatTicks     int
	ElectionTicks      int
	SnapshotEveryBytes int64 // log bytes between two snapshots, at least
	Takeover           logconf.Takeover
	// Path is that of the log actor on every node.
	Path        string
	CatalogPath string
	OwnerPath   string // hears LeadershipChanged
	// CoordinatorPath hears how far a standby is.
	CoordinatorPath string
	// OpenWAL opens the write-ahead log, after closing the one of an earlier
	// life of this actor, so that two never write the same directory.
	OpenWAL func() (*store.WAL, *store.WALRecovery, error)
	// Identity and UpdateNode are node.yaml: cluster, generation, and the note that
	// a higher generation was met.
	Identity   func() store.NodeFile
	UpdateNode func(func(*store.NodeFile)) error
}

// Limits of the log's queues.
const (
	maxHeldReads        = 4096
	maxUncommittedBytes = 64 << 20
	maxMessageBytes     = 256 << 10 // of entries in one Raft message
	maxInflight         = 64        // Raft messages to one follower without an answer
	deliverChunkBytes   = 4 << 20
	deliverWindow       = 1 << 16 // entries handed to the catalog and not yet applied
	fullDiskRetry       = 250 * time.Millisecond
	memoryEntries       = 4096 // kept in memory behind the applied index
)

// Log is the actor. Its fields are confined to its mailbox; only the write-ahead
// log is touched by offloaded work, one piece at a time (diskBusy).
type Log struct {
	cfg     Config
	wal     *store.WAL
	storage *storage
	node    *raft.RawNode

	diskBusy bool
	diskFull bool
	pausing  bool              // a full disk is tried again when retryDisk comes
	readTurn bool              // the catalog's catching up goes before the next append
	state    *raftpb.HardState // newest persisted

	ready     *pendingReady // persisted next, or being persisted
	committed uint64        // newest committed index
	delivered uint64        // newest index handed to the catalog
	applied   uint64        // newest index the catalog has applied
	attached  bool          // the catalog has said where it stands
	starting  bool          // what the RawNode begins with is being read

	leading      bool
	leader       uint64
	term         uint64
	ownTermIndex uint64 // first index of the own term, 0 unknown
	ownTermDone  bool
	held         []heldRead // waiting for an own-term entry
	reads        map[uint64]heldRead
	nextRead     uint64

	conf           *raftpb.ConfState
	changing       uint64 // index of the newest configuration change
	bytesSinceSnap int64
	snapshotting   bool
	previous       uint64       // index of the snapshot before the newest
	snapshotAskers []*actor.PID // who wants to hear of the next snapshot

	peers   peers
	lonely  lonely
	silence silence
	install *installing // a snapshot on its way in, nil: none
	standby standbyAt   // as the coordinator knows it
}

type heldRead struct {
	from    *actor.PID
	request uint64
}

// New makes the actor.
func New(cfg Config) *Log {
	return &Log{cfg: cfg, reads: make(map[uint64]heldRead), conf: &raftpb.ConfState{}, peers: newPeers(), silence: newSilence()}
}

type tick struct{}
type retryDisk struct{}

// Receive handles one message; each case is one line.
func (l *Log) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		l.onStarted(ctx)
	case *walOpened:
		l.onOpened(ctx, m)
	case *messages.CatalogLoaded:
		l.onCatalogLoaded(ctx, m)
	case *beginning:
		l.onBeginning(ctx, m)
	case tick:
		l.onTick(ctx)
	case *messages.Propose:
		l.onPropose(ctx, m)
	case *messages.ReadIndex:
		l.onReadIndex(ctx, m)
	case *messages.RaftMessages:
		l.onRaftMessages(ctx, m)
	case *persisted:
		l.onPersisted(ctx, m)
	case *entriesRead:
		l.onEntriesRead(ctx, m)
	case *messages.EntriesApplied:
		l.onApplied(ctx, m)
	case *messages.SnapshotTaken:
		l.onSnapshotTaken(ctx, m)
	case *messages.SnapshotInstalled:
		l.onSnapshotInstalled(ctx, m)
	case *messages.SnapshotRefused:
		l.onSnapshotRefused(m)
	case *truncated:
		l.onTruncated(ctx, m)
	case *messages.LogMembers:
		l.onLogMembers(m)
	case *messages.CandidateRanks:
		l.onCandidateRanks(m)
	case *messages.ChangeVoters:
		l.onChangeVoters(ctx, m)
	case *messages.TransferLeadership:
		l.onTransfer(ctx, m)
	case *messages.ReadLog:
		l.onReadLog(ctx, m)
	case *logRead:
		ctx.Send(m.to, m.reply)
	case *messages.WantSnapshot:
		l.onWantSnapshot(ctx, m)
	case *messages.DescribeLog:
		l.onDescribe(ctx, m)
	case *messages.StandbyMatch:
		ctx.Reply(l.standby.message())
	case *messages.Superseded:
		l.onSuperseded(ctx, m.ClusterId, m.Generation, m.Node)
	case *noted:
		l.onNoted(ctx, m)
	case retryDisk:
		l.pausing = false
		l.pump(ctx)
	}
}

func (l *Log) onTick(ctx *runtime.Context) {
	ctx.After(l.cfg.Tick, tick{})
	if l.node == nil {
		return
	}
	l.watchSilence(ctx)
	l.watchSnapshots(ctx)
	l.node.Tick()
	l.pump(ctx)
	l.lookAtStandby(ctx)
}

// onPropose appends the commands as one proposal. The reply is sent only when
// they did not enter the log; otherwise their outcome comes from the catalog.
func (l *Log) onPropose(ctx *runtime.Context, m *messages.Propose) {
	if refusal := l.refuseProposal(); refusal != nil {
		ctx.Reply(dropped(m, refusal))
		return
	}
	entries := make([]*raftpb.Entry, 0, len(m.Commands))
	for _, c := range m.Commands {
		data, err := messages.MarshalDeterministic(c)
		if err == nil && len(data) > model.MaxCommandBytes {
			err = model.Errorf(model.CodeTooLarge, "propose", "a command of %d bytes is above the limit of %d", len(data), model.MaxCommandBytes)
		}
		if err != nil {
			ctx.Reply(dropped(m, err))
			return
		}
		entries = append(entries, &raftpb.Entry{Data: data})
	}
	kind := raftpb.MessageType_MsgProp
	if err := l.node.Step(&raftpb.Message{Type: &kind, From: &l.cfg.RaftID, Entries: entries}); err != nil {
		ctx.Reply(dropped(m, model.Errorf(model.CodeOverloaded, "propose", "the log takes no more for now: %w", err)))
		return
	}
	l.pump(ctx)
}

func (l *Log) refuseProposal() error {
	switch {
	case l.node == nil || !l.leading:
		return model.Errorf(model.CodeNoMaster, "propose", "this node does not lead the log")
	case l.silence.cutOff:
		return model.Errorf(model.CodeNoMaster, "propose", "this node is out of contact with the other voters")
	case l.diskFull:
		return model.Errorf(model.CodeClusterFull, "propose", "the disk of the log is full; free some space, the write is tried again")
	}
	return nil
}

func dropped(m *messages.Propose, err error) *messages.ProposeReply {
	r := &messages.ProposeReply{Header: messages.ReplyHeader(m.Header), Dropped: true, Error: messages.FromError(err)}
	for _, c := range m.Commands {
		r.Proposals = append(r.Proposals, c.Proposal)
	}
	return r
}

func (l *Log) onReadIndex(ctx *runtime.Context, m *messages.ReadIndex) {
	read := heldRead{from: ctx.Sender(), request: m.Header.GetRequest()}
	switch {
	case l.node == nil || !l.leading:
		l.refuseRead(ctx, read, model.CodeNoMaster, "this node does not lead the log")
	case !l.ownTermDone && len(l.held) >= maxHeldReads || len(l.reads) >= maxHeldReads:
		l.refuseRead(ctx, read, model.CodeOverloaded, "too many reads wait for the master")
	case !l.ownTermDone:
		l.held = append(l.held, read)
	case l.diskFull && l.alone():
		// Raft waits for the disk, but a lone voter that has applied an entry of its
		// term knows the commit index by itself: reads go on.
		ctx.Send(read.from, &messages.ReadIndexReply{Header: &messages.Header{Request: read.request}, Index: l.committed, Term: l.term})
	default:
		l.startRead(read)
		l.pump(ctx)
	}
}

func (l *Log) refuseRead(ctx *runtime.Context, r heldRead, code model.Code, why string) {
	ctx.Send(r.from, &messages.ReadIndexReply{
		Header: &messages.Header{Request: r.request},
		Error:  messages.FromError(model.Errorf(code, "read index", "%s", why)),
	})
}

// interval is that of the heartbeats of a leader.
func (l *Log) interval() time.Duration { return time.Duration(l.cfg.HeartbeatTicks) * l.cfg.Tick }
