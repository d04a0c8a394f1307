package catalog

import (
	"github.com/asynkron/protoactor-go/actor"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	rules "tiercel/cluster/catalog"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Config is what the catalog is told by the tree.
type Config struct {
	Path            string // of this actor, on every node
	LogPath         string
	CoordinatorPath string // hears the outcome of commands that this node proposed
	// ChunkBytes of a snapshot are walked in one go; writes wait no longer than that.
	ChunkBytes int
	// Loaded hears of the state machine each time it has been loaded: the
	// simulator's checkers look at it, and at the voters, between two messages. Nil:
	// nobody looks.
	Loaded func(cat *rules.Catalog, conf func() *raftpb.ConfState)
	// Joined says that an empty directory is the beginning of a node that joins.
	Joined   bool
	Takeover logconf.Takeover
}

const (
	raftNormal = 0    // raftpb.EntryNormal
	maxWaiting = 4096 // lookups that wait for an index
)

// Catalog is the actor.
type Catalog struct {
	cfg  Config
	cat  *rules.Catalog
	ix   store.Index
	meta store.SnapshotMeta // of the snapshot that was loaded or taken last

	term    uint64
	conf    *raftpb.ConfState // voters at the applied index
	syncing bool              // just loaded: the log may still send what follows a state we had before
	waiting []waitingLookup
	snap    *snapshotting
	fetch   *fetching
	fetches uint64
	pins    pins // snapshots that are being read

	membersChanged bool
	registrations  []string // nodes, of the entries being applied
}

type waitingLookup struct {
	from *actor.PID
	ask  *messages.Lookup
}

// New makes the actor.
func New(cfg Config) *Catalog { return &Catalog{cfg: cfg} }

// Receive handles one message; each case is one line.
func (c *Catalog) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		c.onStarted(ctx)
	case *loaded:
		c.onLoaded(ctx, m)
	case *messages.AttachCatalog:
		c.onAttach(ctx)
	case *messages.ApplyEntries:
		c.onApply(ctx, m)
	case *messages.Lookup:
		c.onLookup(ctx, m)
	case *messages.TakeSnapshot:
		c.onTakeSnapshot(ctx)
	case *chunkWritten:
		c.onChunkWritten(ctx, m)
	case *snapshotVerified:
		c.onSnapshotVerified(ctx, m)
	case *messages.InstallSnapshot:
		c.onInstallSnapshot(ctx, m)
	case fetchDue:
		c.onFetchDue(ctx, m)
	case *messages.FetchSnapshot:
		c.onFetchSnapshot(ctx, m)
	case *pieceRead:
		ctx.SendBulk(m.to, m.reply)
	case *messages.FetchSnapshotReply:
		c.onPiece(ctx, m)
	case *pieceWritten:
		c.onPieceWritten(ctx, m)
	case *installed:
		c.onInstalled(ctx, m)
	case *actor.Restarting, *actor.Stopping:
		c.abortSnapshot()
	}
}

// onApply applies entries in order. Those at or below the applied index were
// applied before a restart of the log and are passed over.
func (c *Catalog) onApply(ctx *runtime.Context, m *messages.ApplyEntries) {
	if c.cat == nil {
		return // still loading; the log delivers again when we say where we stand
	}
	done := &messages.CommandsApplied{}
	var bytes uint64
	c.cat.Begin()
	for _, e := range m.Entries {
		if e.Index <= c.cat.Applied() {
			continue
		}
		if e.Index != c.cat.Applied()+1 {
			c.cat.End()
			if c.syncing {
				return // the log has been told where we stand and begins again from there
			}
			ctx.Runtime().Halt(model.Errorf(model.CodeInternal, "apply", "entry %d came after %d", e.Index, c.cat.Applied()))
			return
		}
		outcome, err := c.applyOne(ctx, e)
		if err != nil {
			c.cat.End()
			ctx.Runtime().Halt(err)
			return
		}
		c.syncing = false
		bytes += uint64(len(e.Data))
		c.term = e.Term
		if outcome != nil {
			done.Outcomes = append(done.Outcomes, outcome)
		}
	}
	c.cat.End()
	if c.membersChanged || len(c.registrations) > 0 {
		c.registered(ctx)
	}
	ctx.Reply(&messages.EntriesApplied{Applied: c.cat.Applied(), LogBytes: bytes})
	if len(done.Outcomes) > 0 {
		done.Applied = c.cat.Applied()
		ctx.Send(ctx.Runtime().Local(c.cfg.CoordinatorPath), done)
	}
	c.answerWaiting(ctx)
}

// applyOne applies one entry; the outcome is nil when nobody here waits for it.
func (c *Catalog) applyOne(ctx *runtime.Context, e *messages.LogEntry) (*messages.CommitOutcome, error) {
	if e.Kind != raftNormal || len(e.Data) == 0 {
		// Raft's own entries change nothing but the voters and the applied index.
		conf, err := logconf.Fold(c.conf, e.Index, raftpb.EntryType(e.Kind), e.Data, c.cfg.Takeover)
		if err != nil {
			return nil, err
		}
		c.conf = conf
		return nil, c.cat.Advance(e.Index)
	}
	cmd := &messages.Command{}
	if err := proto.Unmarshal(e.Data, cmd); err != nil {
		return nil, model.Errorf(model.CodeCorrupt, "apply", "entry %d is not a command: %w", e.Index, err)
	}
	result, err := c.cat.Apply(e.Index, cmd)
	if err != nil {
		return nil, err
	}
	c.membersChanged = c.membersChanged || changesMembers(cmd)
	if r := cmd.GetRegisterWorker(); r != nil && result.GetCode() == "" {
		c.registrations = append(c.registrations, r.Node)
	}
	if cmd.Proposal == 0 || cmd.Origin != string(ctx.Runtime().Node()) {
		return nil, nil
	}
	return &messages.CommitOutcome{Proposal: cmd.Proposal, Result: result, Index: e.Index}, nil
}
