package master

import (
	"fmt"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/cluster/replication"
	"tiercel/messages"
)

// sweep compares all that one worker holds with what the rows say it should.
type sweep struct {
	asked   time.Time
	request uint64                            // of the page under way; 0: none
	reports map[uint64]*messages.VolumeReport // so far
	before  map[uint64]*messages.VolumeMember // verified members on this worker when it was asked
	after   uint64                            // looks that began at or before this one are too old to compare with
	whole   bool                              // every page has come
	next    time.Time                         // not asked before
}

// sweepEveryTicks is the pause between two sweeps of a worker, in looks: what is found
// is what was lost with a message or a master, or away with a disk.
const sweepEveryTicks = 30

// sweepCopies asks workers for all they hold, one after the other, and judges what
// has come by a look that began after it.
func (f *Foreman) sweepCopies(ctx *runtime.Context) {
	now := ctx.Now()
	for i, node := range f.status.WorkerNodes {
		state := f.status.Workers[i].State
		if state != messages.WorkerState_HEALTHY || !f.present(node, now) {
			continue
		}
		s := f.sweeps[node]
		if s == nil {
			s = &sweep{}
			f.sweeps[node] = s
		}
		switch {
		case s.whole && f.lookup > s.after:
			f.judgeSweep(ctx, node, s)
			*s = sweep{next: now.Add(sweepEveryTicks * f.cfg.ReconcileTick)}
		case s.whole:
		case s.request != 0 && now.Sub(s.asked) < orderAgain:
		case now.Before(s.next):
		default:
			*s = sweep{reports: make(map[uint64]*messages.VolumeReport), before: f.verifiedOn(node)}
			f.askPage(ctx, node, s, 0)
		}
	}
}

func (f *Foreman) present(node string, now time.Time) bool {
	s := f.space[node]
	return s != nil && now.Sub(s.at) < presentFor
}

func (f *Foreman) verifiedOn(node string) map[uint64]*messages.VolumeMember {
	out := make(map[uint64]*messages.VolumeMember)
	for id, row := range f.rows {
		if m := memberOf(row, node); m != nil && m.Verified && row.State != messages.VolumeState_OPEN {
			out[id] = m
		}
	}
	return out
}

func (f *Foreman) askPage(ctx *runtime.Context, node string, s *sweep, after uint64) {
	s.request, s.asked = ctx.Rand()|1, ctx.Now()
	m := &messages.ReportVolumes{Header: f.header(), After: after}
	m.Header.Request = s.request
	ctx.Request(ctx.Runtime().Peer(model.NodeID(node), f.cfg.WorkerPath), m)
}

func (f *Foreman) onReport(ctx *runtime.Context, m *messages.ReportVolumesReply) {
	s := f.sweeps[m.Node]
	if s == nil || s.request == 0 || m.Header.GetRequest() != s.request {
		return
	}
	s.request = 0
	if m.Error != nil {
		s.next = ctx.Now().Add(orderAgain)
		return
	}
	last := uint64(0)
	for _, r := range m.Volumes {
		s.reports[r.Volume], last = r, r.Volume
	}
	if m.More && last > 0 {
		f.askPage(ctx, m.Node, s, last)
		return
	}
	s.whole, s.after = true, f.lookup // the next tick's look is new enough
}

// judgeSweep acts on the differences. The rows are newer than the reports: a copy
// that they do not name was not wanted when it was reported, and a volume that they do
// not know was dropped, unless its number was never given.
func (f *Foreman) judgeSweep(ctx *runtime.Context, node string, s *sweep) {
	for _, id := range sortedKeys(s.reports) {
		r, row := s.reports[id], f.rows[id]
		m := memberOf(row, node)
		switch {
		case f.adopt(ctx, node, row, m, r):
		case row == nil && catalog.MayBeData(f.cluster(), id):
			f.drop(ctx, node, id, r.ReplicaGen, true, fmt.Sprintf("volume %d was never made here, as far as the catalog knows; the counter is at %d", id, f.cluster().NextVolume))
		case row == nil:
			f.drop(ctx, node, id, r.ReplicaGen, false, "its volume was dropped")
		case row.State == messages.VolumeState_OPEN:
		case m == nil:
			f.drop(ctx, node, id, r.ReplicaGen, false, "it is no member of its volume")
		case m.Verified && s.before[id] != nil && s.before[id].ReplicaGen == m.ReplicaGen:
			if why := wrongCopy(row, m, r); why != "" {
				f.markDamaged(ctx, row, m, why)
			}
		}
	}
	for _, id := range sortedKeys(s.before) {
		row := f.rows[id]
		if m := memberOf(row, node); m != nil && m.Verified && m.ReplicaGen == s.before[id].ReplicaGen && s.reports[id] == nil && row.State != messages.VolumeState_OPEN {
			f.markDamaged(ctx, row, m, "its file is gone")
		}
	}
}

// wrongCopy says why a copy is not the verified one that the row has; empty: it is.
func wrongCopy(row *messages.VolumeRow, m *messages.VolumeMember, r *messages.VolumeReport) string {
	switch {
	case r.Damage != "":
		return r.Damage
	case r.ReplicaGen != m.ReplicaGen:
		return fmt.Sprintf("its file is of replica generation %d, not %d", r.ReplicaGen, m.ReplicaGen)
	case r.End < row.SealedEnd:
		return fmt.Sprintf("it has %d of %d bytes", r.End, row.SealedEnd)
	}
	return ""
}

// underWay lists the copies of a job that workers are at.
func (f *Foreman) underWay(job uint64) (out []*messages.PlannedMove) {
	for _, row := range f.status.GetVolumes() {
		for _, m := range row.Members {
			if c := f.copies[replication.Copy{Volume: row.Id, Node: m.Node}]; c != nil && c.job == job {
				out = append(out, &messages.PlannedMove{Volume: row.Id, From: c.from, To: m.Node, Bytes: row.SealedEnd, Why: "under way"})
			}
		}
	}
	return out
}
