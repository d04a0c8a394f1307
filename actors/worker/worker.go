package worker

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Config is what the worker is told by the tree.
type Config struct {
	Volumes         *store.Volumes
	Path            string // of this actor, on every node
	CoordinatorPath string // on the master's node
	ForemanPath     string // on the master's node; grants the bytes of jobs
	MemberPath      string // hears every capacity report
	DiskType        string
	MaxVolumeBytes  uint64
	// ReserveBytes of the disk are kept free of new content, so that the log,
	// snapshots, seals and deletes go on when users have filled it.
	ReserveBytes uint64
	// CapacityBytes caps what is reported as total; 0: the file system's size.
	CapacityBytes uint64
	ReportEvery   time.Duration
	// DiskBusy is for how long the disk has had work, by the system's counters; it may
	// block. Nil, or false: what the volumes did to it is what counts.
	DiskBusy func() (time.Duration, bool)
	// AppendPatience is how long a primary waits for a follower's acknowledgement.
	AppendPatience time.Duration
	// Epoch is the highest that was obeyed, and UpdateNode makes a higher one durable.
	Epoch      model.Epoch
	UpdateNode func(func(*store.NodeFile)) error
}

// Worker is the actor.
type Worker struct {
	cfg                  Config
	open                 map[uint64]*openVolume
	capacity             *messages.CapacityReport
	epoch                model.Epoch // the highest obeyed, durable
	raising              bool        // a higher one is being made durable
	orders               []order     // that wait for it
	master               *actor.PID  // the coordinator of the newest epoch; nil: not heard in this life
	load                 load
	settling             map[uint64]*settling
	settings             *messages.Settings // nil: none heard, no limits
	incoming             turns              // of bytes for copies that are settled here
	verifying            map[uint64]*check
	verifies             turns // of bytes that are read for that
	scrub                scrub
	disk                 diskHealth
	atWork               waiting // for the disk
	reads                waiting // the same of reads for others
	readEnded, readTried time.Time
	looking              bool // a look at atWork is due
}

type openVolume struct {
	generation uint64
	pid        *actor.PID
	writable   bool
	full       bool
	suspect    string
	shared     *shared
}

// New makes the actor.
func New(cfg Config) *Worker {
	return &Worker{
		cfg: cfg, open: make(map[uint64]*openVolume), epoch: cfg.Epoch, settling: make(map[uint64]*settling), verifying: make(map[uint64]*check),
	}
}

type volumeOpened struct {
	to     *actor.PID
	ask    *messages.OpenVolume
	writer *store.VolumeWriter
	err    error
}

type volumeFenced struct {
	to        *actor.PID
	ask       *messages.FenceVolume
	watermark uint64
	digest    []byte
	err       error
}

// Receive handles one message; each case is one line.
func (w *Worker) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started, reportDue:
		w.onReportDue(ctx)
	case *capacityRead:
		w.onCapacityRead(ctx, m)
	case *messages.ReportVolumes, *messages.OpenVolume, *messages.FenceVolume, *messages.SettleVolume, *messages.DropCopy, *messages.VerifyCopy, *messages.ScrubCopies:
		w.onOrder(ctx, m.(orderMessage))
	case *raised:
		w.onRaised(ctx, m)
	case *volumeOpened:
		w.onOpened(ctx, m)
	case *volumeFenced:
		w.onFenced(ctx, m)
	case *messages.VolumeStopped:
		w.onVolumeStopped(ctx, m)
	case *messages.ReadExtent:
		w.onReadExtent(ctx, m)
	case *messages.ReadVolume:
		w.onReadVolume(ctx, m)
	case *readDone:
		w.onReadDone(ctx, m)
	case *messages.ReadVolumeReply:
		w.onPiece(ctx, m)
	case *settled:
		w.onSettled(ctx, m)
	case settleDue:
		w.onSettleDue(ctx, m)
	case *messages.BandwidthGranted:
		w.onGranted(ctx, m)
	case *dropped:
		w.onDropped(ctx, m)
	case *givenUp:
		w.noteDisk(ctx, 0, m.err)
	case *messages.SettingsChanged:
		w.settings = m.Settings
	case *fromDisk:
		w.onFromDisk(ctx, m)
	case diskDue:
		w.onDiskDue(ctx)
	default:
		w.onCheck(ctx, msg)
	}
}

// onCheck handles what belongs to checks of copies.
func (w *Worker) onCheck(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *messages.CheckCopy:
		w.onCheckCopy(ctx, m)
	case *checkOpened:
		w.onCheckOpened(ctx, m)
	case checkDueNow:
		w.step(ctx, m.check)
	case *checkStepped:
		w.onCheckStepped(ctx, m)
	case *checkEnded:
		w.onCheckEnded(ctx, m)
	}
}

// reportPage bounds the volumes of one answer.
const reportPage = 2000

// reportVolumes answers a master's pull: what is on disk, as it is.
func (w *Worker) reportVolumes(ctx *runtime.Context, to *actor.PID, m *messages.ReportVolumes) {
	reply := &messages.ReportVolumesReply{
		Header: messages.ReplyHeader(m.Header), Node: string(ctx.Runtime().Node()), Incarnation: ctx.Runtime().Incarnation(), Capacity: w.capacity,
	}
	wanted := make(map[uint64]bool, len(m.Volumes))
	for _, id := range m.Volumes {
		wanted[id] = true
	}
	for _, s := range w.cfg.Volumes.States() {
		id := uint64(s.ID)
		if len(m.Volumes) > 0 && !wanted[id] || len(m.Volumes) == 0 && id <= m.After {
			continue
		}
		if len(reply.Volumes) == reportPage {
			reply.More = true
			break
		}
		reply.Volumes = append(reply.Volumes, w.report(&s, ctx.Now()))
	}
	ctx.SendBulk(to, reply)
}

func (w *Worker) report(s *store.VolumeState, now time.Time) *messages.VolumeReport {
	r := &messages.VolumeReport{
		Volume: uint64(s.ID), Tier: uint32(s.Tier), Generation: s.Generation, ReplicaGen: s.ReplicaGen,
		End: s.End, Watermark: s.Watermark, Fenced: s.Fenced, Sealed: s.Sealed, Damage: s.Damage,
	}
	if o := w.open[r.Volume]; o != nil && o.generation == s.Generation {
		r.Writable, r.Stopped, r.Full, r.Suspect = o.writable && !s.Fenced, !o.writable, o.full, o.suspect
		r.Followers = o.shared.lags.report(now)
	}
	return r
}

// openVolume creates a copy or reopens it at a new generation, in the role that
// the order of members gives this node. Asking again for what is open already is
// answered yes.
func (w *Worker) openVolume(ctx *runtime.Context, to *actor.PID, m *messages.OpenVolume) {
	if o := w.open[m.Volume]; o != nil && o.generation >= m.Generation {
		reply := w.openReply(ctx, m, nil)
		reply.Generation = o.generation
		if !o.writable || o.generation != m.Generation {
			reply.Error = messages.FromError(model.Errorf(model.CodeVolumeSealed, "open volume",
				"volume %d was open at generation %d and is not any more", m.Volume, o.generation))
		}
		ctx.Send(to, reply)
		return
	}
	volumes := w.cfg.Volumes
	w.atDisk(ctx, func() any {
		writer, err := openWriter(volumes, m)
		return &volumeOpened{to: to, ask: m, writer: writer, err: err}
	})
}

func (w *Worker) openReply(ctx *runtime.Context, m *messages.OpenVolume, err error) *messages.OpenVolumeReply {
	return &messages.OpenVolumeReply{
		Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Generation: m.Generation, Node: string(ctx.Runtime().Node()), Error: messages.FromError(err),
	}
}

func openWriter(volumes *store.Volumes, m *messages.OpenVolume) (*store.VolumeWriter, error) {
	id := model.VolumeID(m.Volume)
	if m.Start == 0 && !volumes.Has(id) {
		return volumes.Create(model.Tier(m.Tier), id, m.Generation, m.ReplicaGen)
	}
	return volumes.Reopen(id, m.Generation, m.ReplicaGen, max(m.Start, store.DataStart))
}

func (w *Worker) onOpened(ctx *runtime.Context, m *volumeOpened) {
	if o := w.open[m.ask.Volume]; m.err == nil && (o == nil || o.generation < m.ask.Generation) {
		w.spawnVolume(ctx, m)
	}
	w.noteDisk(ctx, m.ask.Volume, m.err)
	ctx.Send(m.to, w.openReply(ctx, m.ask, m.err))
}

// A volume is a small part of the disk it lies on, so that moving one evens disks out,
// but not so small that there are very many.
const (
	volumesPerDisk  = 64
	leastFullVolume = 64 << 20
)

// maxVolumeBytes is the length at which a volume of this worker is full.
func (w *Worker) maxVolumeBytes() uint64 {
	total := w.capacity.GetTotalBytes()
	if total == 0 {
		return w.cfg.MaxVolumeBytes
	}
	return min(w.cfg.MaxVolumeBytes, max(leastFullVolume, total/volumesPerDisk))
}

func (w *Worker) spawnVolume(ctx *runtime.Context, m *volumeOpened) {
	if old := w.open[m.ask.Volume]; old != nil {
		ctx.Stop(old.pid)
	}
	self, writer, ask, node := ctx.Self(), m.writer, m.ask, string(ctx.Runtime().Node())
	name := fmt.Sprintf("volume/%d.%d", ask.Volume, ask.Generation)
	v := &openVolume{generation: ask.Generation, writable: true, shared: &shared{busyNs: &w.load.volumesNs}}
	lives, patience, maxBytes := 0, w.cfg.AppendPatience, w.maxVolumeBytes()
	members := ask.Members
	if len(members) == 0 {
		members = []string{node}
	}
	var pids []*actor.PID
	for _, other := range members[1:] {
		pids = append(pids, ctx.Runtime().Peer(model.NodeID(other), w.cfg.Path+"/"+name))
	}
	v.pid = ctx.Spawn(name, func() runtime.Actor {
		lives++
		vol := &Volume{
			worker: self, writer: writer, id: ask.Volume, generation: ask.Generation, tier: model.Tier(ask.Tier), maxBytes: maxBytes,
			self: node, primary: members[0], lone: len(members) == 1, patience: patience, next: writer.End(), shared: v.shared,
		}
		if members[0] == node {
			for i, pid := range pids {
				vol.followers = append(vol.followers, &follower{node: members[1+i], pid: pid, watermark: writer.End()})
			}
		}
		if lives > 1 {
			vol.stopped = "the volume actor failed"
		}
		return vol
	})
	w.open[m.ask.Volume] = v
}

// fenceVolume makes sure that no append of this generation lands any more, and
// says how long the copy is.
func (w *Worker) fenceVolume(ctx *runtime.Context, to *actor.PID, m *messages.FenceVolume) {
	if o := w.open[m.Volume]; o != nil && o.generation == m.Generation {
		o.writable = false
		ctx.Send(o.pid, m)
	}
	volumes := w.cfg.Volumes
	ctx.Offload(func() any { // the digest of a large volume may take long on a healthy disk
		id := model.VolumeID(m.Volume)
		watermark, err := volumes.Fence(id)
		f := &volumeFenced{to: to, ask: m, watermark: watermark, err: err}
		// One that is being received is fenced, and has no digest to speak of.
		if state, _ := volumes.State(id); err == nil && !state.Partial {
			f.digest, f.err = volumes.Seal(id, watermark)
		}
		return f
	})
}

func (w *Worker) onFenced(ctx *runtime.Context, m *volumeFenced) {
	if o := w.open[m.ask.Volume]; o != nil && o.generation == m.ask.Generation {
		ctx.Stop(o.pid)
		delete(w.open, m.ask.Volume)
	}
	w.noteDisk(ctx, m.ask.Volume, m.err)
	state, _ := w.cfg.Volumes.State(model.VolumeID(m.ask.Volume))
	ctx.Send(m.to, &messages.FenceVolumeReply{
		Header: messages.ReplyHeader(m.ask.Header), Volume: m.ask.Volume, Generation: m.ask.Generation, Node: string(ctx.Runtime().Node()), ReplicaGen: state.ReplicaGen,
		Watermark: m.watermark, Digest: m.digest, Error: messages.FromError(m.err),
	})
}

func (w *Worker) onVolumeStopped(ctx *runtime.Context, m *messages.VolumeStopped) {
	if o := w.open[m.Volume]; o != nil && o.generation == m.Generation {
		o.writable, o.full, o.suspect = false, m.Full, m.Suspect
		switch {
		case o.shared.diskHangs.Load():
			w.diskHangs(ctx)
		case o.shared.diskFailed.Load():
			w.diskFailed(ctx, m.Volume, m.Cause)
		}
	}
	if !m.Full {
		ctx.Log().Warn("a volume stopped taking appends", "volume", m.Volume, "cause", m.Cause)
	}
	ctx.Send(w.master, m)
}

// orderMessage is what a master may order; its header carries the epoch.
type orderMessage interface {
	proto.Message
	GetHeader() *messages.Header
}
