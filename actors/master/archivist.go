package master

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/archive"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// Archivist keeps what of the catalog is outside of the log: checkpoints and the
// commit journal, as files of the system's tenant in volumes of tier 1, for the day on
// which every voter is lost (`tiercel recover`). It also has backups made. What is
// there is in the rows: a new master's archivist lists them and goes on.
type Archivist struct {
	cfg Config
	committer
	number  uint64 // of the newest request
	cluster *messages.ClusterRow
	items   map[string]archive.Item // by path, as the rows have them
	listed  bool

	task    *archiveTask // nil: nothing is under way
	read    *journalRead // the newest look at the log
	gone    uint64       // the log is known to have been truncated up to here
	covers  uint64       // what matters up to this log index is in the archive
	coverAt time.Time    // when that was all there was
	written int64        // of the newest item, in Unix milliseconds
	newest  time.Time    // when the newest checkpoint was complete; zero: by an earlier master
	failure string
	told    bool // of the failure
	backups []*backupWait
}

// archiveTask is what is under way; one at a time, step by step.
type archiveTask struct {
	what  string
	since time.Time // of its newest step
	check *checkpointing
	write *archiveWrite
}

// archivePatience is how long one step may take, then the whole is begun anew.
const archivePatience = 15 * time.Second

// maxRetires are the files that are given up between two looks.
const maxRetires = 64

type archiveDue struct{}

func newArchivist(cfg Config) *Archivist {
	return &Archivist{cfg: cfg, committer: newCommitter(cfg.CoordinatorPath), items: make(map[string]archive.Item)}
}

// Receive handles one message; each case is one line.
func (a *Archivist) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		a.onStarted(ctx)
	case archiveDue:
		a.onDue(ctx)
	case *messages.JournalCovers:
		a.onWanted(ctx, m)
	case *messages.LookupReply:
		a.onListed(ctx, m)
	case *messages.ReadLogReply:
		a.onLogRead(ctx, m)
	case *messages.SnapshotTaken:
		a.onSnapshot(ctx, m)
	case *messages.FetchSnapshotReply:
		a.onPiece(ctx, m)
	case *messages.BeginReply:
		a.onBegun(ctx, m)
	case *messages.AppendRecordsReply:
		a.onAppended(ctx, m)
	case *messages.CommitReply:
		a.onOutcomes(ctx, m)
	case *messages.PrepareBackup:
		a.onPrepareBackup(ctx, m)
	case *messages.ReadIndexReply:
		a.onBackupIndex(ctx, m)
	case *messages.DescribeArchive:
		a.onDescribe(ctx, m)
	}
}

func (a *Archivist) onStarted(ctx *runtime.Context) {
	a.committer.begin(ctx)
	a.number = ctx.Rand() >> 16 << 16 // a restarted archivist must not take an old answer for its own
	a.coverAt = ctx.Now()
	ctx.After(min(a.every(), firstLook), archiveDue{})
}

// firstLook is how soon a new master looks at what an earlier one has written: until then
// it cannot say how far the archive is behind.
const firstLook = time.Second

// every is the pause between two looks; backups are made without an archive, too.
func (a *Archivist) every() time.Duration {
	if a.cfg.ArchiveEvery <= 0 {
		return time.Second
	}
	return a.cfg.ArchiveEvery
}

// onDue looks whether there is something to do, unless something is under way.
func (a *Archivist) onDue(ctx *runtime.Context) {
	pause := a.every()
	if !a.listed && a.failure == "" {
		pause = min(pause, firstLook) // its start may not be in the log yet
	}
	ctx.After(pause, archiveDue{})
	a.committer.sweep(ctx.Now())
	a.sweepBackups(ctx)
	switch {
	case a.cfg.ArchiveEvery <= 0:
	case a.task != nil && ctx.Now().Sub(a.task.since) > archivePatience:
		a.fail(ctx, "it got no answer in time")
	case a.task == nil && !a.listed:
		a.list(ctx, "")
	case a.task == nil:
		a.next(ctx)
	}
}

// onWanted looks before its time: somebody waits until the journal has come so far.
func (a *Archivist) onWanted(ctx *runtime.Context, m *messages.JournalCovers) {
	if a.cfg.ArchiveEvery > 0 && a.task == nil && a.listed && a.covers < m.Index {
		a.next(ctx)
	}
}

func (a *Archivist) begin(ctx *runtime.Context, what string) *archiveTask {
	a.task = &archiveTask{what: what, since: ctx.Now()}
	return a.task
}

// fail gives the task up; the next look begins with the rows.
func (a *Archivist) fail(ctx *runtime.Context, why string) {
	what := "archive"
	if a.task != nil {
		what = a.task.what
	}
	a.task, a.listed, a.failure = nil, false, what+": "+why
	if !a.told {
		ctx.Log().Warn("the archive of the catalog is not up to date; a recovery would miss what came since", "step", what, "reason", why)
		a.told = true
	}
}

// list reads the rows of the system's tenant, page by page.
func (a *Archivist) list(ctx *runtime.Context, after string) {
	a.begin(ctx, "list the archive")
	if after == "" {
		clear(a.items)
	}
	a.number++
	ctx.Request(ctx.Runtime().Local(a.cfg.CatalogPath), &messages.Lookup{
		Header: &messages.Header{Request: a.number},
		Items: []*messages.LookupItem{
			{Kind: &messages.LookupItem_Status{Status: &messages.ClusterStatus{OpenVolumesOnly: true}}},
			{Kind: &messages.LookupItem_List{List: &messages.List{Tenant: model.SystemTenant, After: after, Limit: model.MaxListLimit}}},
		},
	})
}

func (a *Archivist) onListed(ctx *runtime.Context, m *messages.LookupReply) {
	if a.task == nil || m.Header.GetRequest() != a.number || len(m.Answers) != 2 {
		return
	}
	status, page := m.Answers[0].GetStatus(), m.Answers[1].GetList()
	a.cluster = status.GetCluster()
	// Before its start is in the log this master sees the rows of an earlier one.
	if page == nil || page.Error != nil || a.cluster.GetTerm() != a.cfg.Term || a.cluster.GetGeneration() != a.cfg.Generation {
		a.task = nil
		return
	}
	for _, f := range page.Files {
		if item, ok := archive.Parse(f.Path); ok {
			item.Bytes = f.Row.GetSizeBytes()
			a.items[f.Path] = item
			a.written = max(a.written, f.Row.GetModifiedUnixMs())
		}
	}
	if page.Next != "" {
		a.list(ctx, page.Next)
		return
	}
	if a.covers == 0 && a.written > 0 {
		// An earlier master has come this far, and what it did not write may be older than
		// this one's start.
		a.coverAt = time.UnixMilli(a.written)
	}
	a.task, a.listed = nil, true
	a.next(ctx)
}

// plan compares what is there with what should be.
func (a *Archivist) plan() archive.Output {
	in := archive.Input{Generation: a.cfg.Generation, Items: make([]archive.Item, 0, len(a.items)), Gone: a.gone, Segments: a.cfg.CheckpointAfter}
	for _, path := range sortedKeys(a.items) {
		in.Items = append(in.Items, a.items[path])
	}
	if a.task != nil && a.task.check != nil {
		in.Under = a.task.check.index
	}
	return archive.Plan(in)
}

// next does the next thing that is due.
func (a *Archivist) next(ctx *runtime.Context) {
	plan := a.plan()
	a.retire(ctx, plan.Retire)
	if plan.Checkpoint {
		a.beginCheckpoint(ctx)
		return
	}
	a.readJournal(ctx, plan.Journaled)
}

// retire deletes files that no recovery needs any more.
func (a *Archivist) retire(ctx *runtime.Context, items []archive.Item) {
	for _, item := range items[:min(len(items), maxRetires)] {
		path := item.Path()
		a.commit(ctx, &messages.Command{Kind: &messages.Command_DeleteFile{DeleteFile: &messages.DeleteFile{
			Tenant: model.SystemTenant, Path: path,
		}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
			if err := o.Result.Err("retire"); !o.Dropped && (err == nil || model.CodeOf(err) == model.CodeNotFound) {
				delete(a.items, path)
			}
		})
	}
}

// covered notes how far the archive goes, and tells who waits for that: a volume is
// dropped only when a recovery would not look for anything in it.
func (a *Archivist) covered(ctx *runtime.Context, index uint64, at time.Time) {
	a.failure, a.told = "", false
	a.covers, a.coverAt = max(a.covers, index), at
	ctx.Send(ctx.Runtime().Local(a.cfg.CoordinatorPath), &messages.JournalCovers{Index: a.covers, Generation: a.cfg.Generation})
}

func (a *Archivist) onDescribe(ctx *runtime.Context, m *messages.DescribeArchive) {
	r := &messages.DescribeArchiveReply{
		Header: messages.ReplyHeader(m.Header), JournalIndex: a.covers, IntervalMs: a.cfg.ArchiveEvery.Milliseconds(), Failure: a.failure,
		LagMs: ctx.Now().Sub(a.coverAt).Milliseconds(), Applied: a.read.seen(), StoredFiles: uint64(len(a.items)),
	}
	plan := a.plan()
	r.CheckpointIndex, r.CheckpointBytes = plan.Newest, plan.Bytes
	if !a.newest.IsZero() {
		r.CheckpointUnixMs = a.newest.UnixMilli()
	}
	for _, item := range a.items {
		r.StoredBytes += item.Bytes
	}
	ctx.Reply(r)
}
