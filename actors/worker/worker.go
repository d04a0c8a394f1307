package worker

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Config is what the worker is told by the tree.
type Config struct {
	Volumes         *store.Volumes
	CoordinatorPath string
	DiskType        string
	MaxVolumeBytes  uint64
	// ReserveBytes of the disk are kept free of new content, so that the log,
	// snapshots, seals and deletes go on when users have filled it.
	ReserveBytes uint64
	// CapacityBytes caps what is reported as total; 0: the file system's size.
	CapacityBytes uint64
	ReportEvery   time.Duration
}

// Worker is the actor.
type Worker struct {
	cfg      Config
	open     map[uint64]*openVolume
	capacity *messages.CapacityReport
}

type openVolume struct {
	generation uint64
	pid        *actor.PID
	writable   bool
	full       bool
}

// New makes the actor.
func New(cfg Config) *Worker {
	return &Worker{cfg: cfg, open: make(map[uint64]*openVolume)}
}

type reportDue struct{}

type capacityRead struct {
	total, free, used int64
	err               error
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
	case *messages.ReportVolumes:
		w.onReportVolumes(ctx, m)
	case *messages.OpenVolume:
		w.onOpen(ctx, m)
	case *volumeOpened:
		w.onOpened(ctx, m)
	case *messages.FenceVolume:
		w.onFence(ctx, m)
	case *volumeFenced:
		w.onFenced(ctx, m)
	case *messages.VolumeStopped:
		w.onVolumeStopped(ctx, m)
	}
}

func (w *Worker) onReportDue(ctx *runtime.Context) {
	fs, volumes := ctx.Runtime().FS(), w.cfg.Volumes
	ctx.Offload(func() any {
		total, free, err := fs.Usage()
		return &capacityRead{total: total, free: free, used: volumes.Bytes(), err: err}
	})
}

func (w *Worker) onCapacityRead(ctx *runtime.Context, m *capacityRead) {
	ctx.After(w.cfg.ReportEvery, reportDue{})
	if m.err != nil {
		ctx.Log().Error("the disk's capacity cannot be read; no new content is taken until it can", "error", m.err)
	}
	total, free := uint64(max(m.total, 0)), uint64(max(m.free, 0))
	if cap := w.cfg.CapacityBytes; cap != 0 && cap < total {
		total = cap
		free = min(free, cap-min(cap, uint64(m.used)))
	}
	writable := free - min(free, w.cfg.ReserveBytes)
	if m.err != nil {
		writable = 0
	}
	w.capacity = &messages.CapacityReport{
		Node: string(ctx.Runtime().Node()), TotalBytes: total, FreeBytes: free, UsedBytes: uint64(m.used),
		DiskType: w.cfg.DiskType, AcceptsWrites: writable > 0, WritableBytes: writable,
	}
	ctx.Send(ctx.Runtime().Local(w.cfg.CoordinatorPath), w.capacity)
}

// onReportVolumes answers a new master's pull: what is on disk, as it is.
func (w *Worker) onReportVolumes(ctx *runtime.Context, m *messages.ReportVolumes) {
	reply := &messages.ReportVolumesReply{
		Header: messages.ReplyHeader(m.Header), Node: string(ctx.Runtime().Node()), Capacity: w.capacity,
	}
	for _, s := range w.cfg.Volumes.States() {
		o := w.open[uint64(s.ID)]
		reply.Volumes = append(reply.Volumes, &messages.VolumeReport{
			Volume: uint64(s.ID), Tier: uint32(s.Tier), Generation: s.Generation, ReplicaGen: s.ReplicaGen,
			End: s.End, Watermark: s.Watermark, Fenced: s.Fenced, Damage: s.Damage,
			Writable: o != nil && o.writable && o.generation == s.Generation && !s.Fenced,
			Stopped:  o != nil && !o.writable && o.generation == s.Generation,
			Full:     o != nil && o.full && o.generation == s.Generation,
		})
	}
	ctx.Reply(reply)
}

// onOpen creates a volume or reopens it at a new generation. Asking again for
// what is open already is answered yes.
func (w *Worker) onOpen(ctx *runtime.Context, m *messages.OpenVolume) {
	if o := w.open[m.Volume]; o != nil && o.generation >= m.Generation {
		reply := &messages.OpenVolumeReply{Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Generation: o.generation}
		if !o.writable || o.generation != m.Generation {
			reply.Error = messages.FromError(model.Errorf(model.CodeVolumeSealed, "open volume",
				"volume %d was open at generation %d and is not any more", m.Volume, o.generation))
		}
		ctx.Reply(reply)
		return
	}
	to, volumes := ctx.Sender(), w.cfg.Volumes
	ctx.Offload(func() any {
		writer, err := openWriter(volumes, m)
		return &volumeOpened{to: to, ask: m, writer: writer, err: err}
	})
}

func openWriter(volumes *store.Volumes, m *messages.OpenVolume) (*store.VolumeWriter, error) {
	id := model.VolumeID(m.Volume)
	if m.Start == 0 && !volumes.Has(id) {
		return volumes.Create(model.Tier(m.Tier), id, m.Generation, m.ReplicaGen)
	}
	return volumes.Reopen(id, m.Generation, m.ReplicaGen, max(m.Start, store.DataStart))
}

func (w *Worker) onOpened(ctx *runtime.Context, m *volumeOpened) {
	reply := &messages.OpenVolumeReply{
		Header: messages.ReplyHeader(m.ask.Header), Volume: m.ask.Volume, Generation: m.ask.Generation,
		Error: messages.FromError(m.err),
	}
	if m.err == nil {
		old := w.open[m.ask.Volume]
		if old != nil {
			ctx.Stop(old.pid)
		}
		tier := model.Tier(m.ask.Tier)
		v := &openVolume{generation: m.ask.Generation, writable: true}
		self, writer, ask := ctx.Self(), m.writer, m.ask
		lives := 0
		v.pid = ctx.Spawn(fmt.Sprintf("volume/%d.%d", ask.Volume, ask.Generation), func() runtime.Actor {
			lives++
			vol := &Volume{
				worker: self, writer: writer, id: ask.Volume, generation: ask.Generation,
				synced: tier.Synced(), maxBytes: w.cfg.MaxVolumeBytes,
			}
			if lives > 1 {
				vol.stopped = "the volume actor failed"
			}
			return vol
		})
		w.open[m.ask.Volume] = v
	}
	ctx.Send(m.to, reply)
}

// onFence makes sure that no append of this generation lands any more, and says
// how long the copy is.
func (w *Worker) onFence(ctx *runtime.Context, m *messages.FenceVolume) {
	if o := w.open[m.Volume]; o != nil && o.generation == m.Generation {
		o.writable = false
	}
	to, volumes := ctx.Sender(), w.cfg.Volumes
	ctx.Offload(func() any {
		id := model.VolumeID(m.Volume)
		watermark, err := volumes.Fence(id)
		f := &volumeFenced{to: to, ask: m, watermark: watermark, err: err}
		if err == nil {
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
	ctx.Send(m.to, &messages.FenceVolumeReply{
		Header: messages.ReplyHeader(m.ask.Header), Volume: m.ask.Volume, Generation: m.ask.Generation,
		Watermark: m.watermark, Digest: m.digest, Error: messages.FromError(m.err),
	})
}

func (w *Worker) onVolumeStopped(ctx *runtime.Context, m *messages.VolumeStopped) {
	if o := w.open[m.Volume]; o != nil && o.generation == m.Generation {
		o.writable, o.full = false, m.Full
	}
	if !m.Full {
		ctx.Log().Error("a volume stopped taking appends", "volume", m.Volume, "cause", m.Cause)
	}
	ctx.Send(ctx.Runtime().Local(w.cfg.CoordinatorPath), m)
}
