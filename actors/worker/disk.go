package worker

import (
	"fmt"
	"maps"
	"time"

	"tiercel/actors/runtime"
	"tiercel/messages"
	"tiercel/store"
)

// A disk is failing when so many volumes met its errors within so short a time; it
// is tried again after a rest, and takes new content when a probe was written.
const (
	failingVolumes = 3
	failingWithin  = time.Minute
	failingRest    = 2 * time.Minute
)

// diskHealth is what the worker has seen of its disk. A disk that fails is never a
// reason to delete anything: nothing new is written to it, that is all.
type diskHealth struct {
	failures map[uint64]time.Time // newest of each volume
	failing  string               // why nothing new is taken
	since    time.Time            // of the newest failure or probe
	probing  bool
}

// noteDisk counts a failure of the disk, if err is one.
func (w *Worker) noteDisk(ctx *runtime.Context, volume uint64, err error) {
	if err != nil && store.IsDiskFailure(err) {
		w.diskFailed(ctx, volume, err.Error())
	}
}

func (w *Worker) diskFailed(ctx *runtime.Context, volume uint64, cause string) {
	d, now := &w.disk, ctx.Now()
	maps.DeleteFunc(d.failures, func(_ uint64, at time.Time) bool { return now.Sub(at) > failingWithin })
	if d.failures == nil {
		d.failures = make(map[uint64]time.Time)
	}
	d.failures[volume] = now
	d.since = now
	if len(d.failures) >= failingVolumes && d.failing == "" {
		d.failing = fmt.Sprintf("%d volumes met errors of the disk within %v, the last: %s", len(d.failures), failingWithin, cause)
		ctx.Log().Error("the disk is failing; it takes nothing new", "cause", d.failing)
	}
}

// probeDue reports whether a failing disk has rested long enough to be tried.
func (d *diskHealth) probeDue(now time.Time) bool {
	return d.failing != "" && !d.probing && now.Sub(d.since) >= failingRest
}

func (w *Worker) onProbed(ctx *runtime.Context, err error) {
	w.disk.probing = false
	if err != nil {
		w.disk.since = ctx.Now()
		return
	}
	ctx.Log().Info("the disk takes new content again", "cause", "a probe was written")
	w.disk = diskHealth{}
}

type reportDue struct{}

type capacityRead struct {
	total, free, used int64
	err               error
	disk              diskCounter
	probed            bool
	probeErr          error
}

func (w *Worker) onReportDue(ctx *runtime.Context) {
	fs, volumes, busy, probe := ctx.Runtime().FS(), w.cfg.Volumes, w.cfg.DiskBusy, w.disk.probeDue(ctx.Now())
	w.disk.probing = w.disk.probing || probe
	w.atDisk(ctx, func() any {
		total, free, err := fs.Usage()
		r := &capacityRead{total: total, free: free, used: volumes.Bytes(), err: err, probed: probe, disk: readDisk(busy)}
		if probe {
			r.probeErr = store.ProbeDisk(fs)
		}
		return r
	})
}

func (w *Worker) onCapacityRead(ctx *runtime.Context, m *capacityRead) {
	ctx.After(w.cfg.ReportEvery, reportDue{})
	if m.probed {
		w.onProbed(ctx, m.probeErr)
	}
	if m.err != nil {
		ctx.Log().Error("the disk's capacity cannot be read; no new content is taken until it can", "error", m.err)
	}
	w.load.measure(ctx.Now(), m.disk)
	states := w.cfg.Volumes.States()
	w.capacity = w.capacityReport(ctx, m, states)
	w.tellCapacity(ctx)
	w.announceDamage(ctx, states)
	w.checkSuspects(ctx)
	w.planScrub(ctx, states)
	w.scrubOn(ctx)
}

func (w *Worker) capacityReport(ctx *runtime.Context, m *capacityRead, states []store.VolumeState) *messages.CapacityReport {
	total, free := uint64(max(m.total, 0)), uint64(max(m.free, 0))
	if cap := w.cfg.CapacityBytes; cap != 0 && cap < total {
		total = cap
		free = min(free, cap-min(cap, uint64(m.used)))
	}
	failing := w.disk.failing
	if m.err != nil {
		failing = "the disk's capacity cannot be read: " + m.err.Error()
	}
	writable := writableBytes(total, free, w.cfg.ReserveBytes, w.settings.GetReadOnlyUsedShare())
	if failing != "" {
		writable = 0
	}
	damaged := uint64(0)
	for i := range states {
		if states[i].Damage != "" {
			damaged++
		}
	}
	return &messages.CapacityReport{
		Node: string(ctx.Runtime().Node()), TotalBytes: total, FreeBytes: free, UsedBytes: uint64(m.used),
		DiskType: w.cfg.DiskType, AcceptsWrites: writable > 0, WritableBytes: writable, Volumes: uint64(len(states)),
		IoLoad: w.load.whole, IoLoadKnown: true, Failing: failing, DamagedVolumes: damaged,
	}
}

// writableBytes is what new content may take: what is free above the reserve, and
// above what keeps the disk below the share at which it turns read-only (0: none).
func writableBytes(total, free, reserve uint64, readOnlyShare float64) uint64 {
	kept := reserve
	if readOnlyShare > 0 && readOnlyShare < 1 {
		kept = max(kept, uint64(float64(total)*(1-readOnlyShare)))
	}
	return free - min(free, kept)
}
