package master

import (
	"fmt"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// driveScrubs has every worker that is here check its copies, for each scrub that was
// asked for, until all have.
func (f *Foreman) driveScrubs(ctx *runtime.Context) {
	for _, j := range f.status.Jobs {
		if j.Kind == messages.JobKind_SCRUB && active(j) {
			f.driveScrub(ctx, j)
		}
	}
	for _, id := range sortedKeys(f.scrubs) {
		if !active(f.job(id)) {
			f.endScrubs(ctx, id)
			delete(f.scrubs, id)
		}
	}
}

// endScrubs tells workers that are not done that the job has ended: somebody cancelled it.
func (f *Foreman) endScrubs(ctx *runtime.Context, job uint64) {
	for _, node := range f.status.WorkerNodes {
		if r := f.scrubs[job][node]; r != nil && !r.Finished {
			ctx.Request(ctx.Runtime().Peer(model.NodeID(node), f.cfg.WorkerPath), &messages.ScrubCopies{Header: f.header(), Job: job, Pause: true})
		}
	}
}

func (f *Foreman) driveScrub(ctx *runtime.Context, j *messages.JobRow) {
	seen := f.scrubs[j.Id]
	if seen == nil {
		seen = make(map[string]*messages.ScrubCopiesReply)
		f.scrubs[j.Id] = seen
	}
	var found []string
	total, done, waiting, nodes := uint64(0), uint64(0), uint64(0), uint64(0)
	for i, node := range f.status.WorkerNodes {
		if f.status.Workers[i].State == messages.WorkerState_LEFT {
			continue
		}
		nodes++
		r := seen[node]
		total, done = total+r.GetTotalBytes(), done+r.GetDoneBytes()
		if r.GetDamaged() > 0 {
			found = append(found, fmt.Sprintf("%d damaged copies were found on %s; each is made anew from an intact one, where there is one", r.Damaged, node))
		}
		switch {
		case r.GetFinished():
			continue
		case f.status.Workers[i].State >= messages.WorkerState_UNREACHABLE:
			found = append(found, node+" is away; its copies are not checked now")
			continue
		}
		waiting++
		if !f.present(node, ctx.Now()) { // a new master has not heard of it; that is not to be away
			found = append(found, node+" has not reported to this master yet")
			continue
		}
		ctx.Request(ctx.Runtime().Peer(model.NodeID(node), f.cfg.WorkerPath), &messages.ScrubCopies{
			Header: f.header(), Job: j.Id, BytesPerSecond: j.BytesPerSecond, Pause: j.State == messages.JobState_PAUSED,
		})
	}
	t := f.tallyOf(j)
	t.totalBytes, t.doneBytes = max(t.totalBytes, total), done
	t.totalItems, t.doneItems = max(t.totalItems, nodes), nodes-waiting
	if waiting == 0 {
		f.endJob(ctx, j, found)
		return
	}
	f.reportJob(ctx, j, found, nil)
}

func (f *Foreman) onScrubbed(m *messages.ScrubCopiesReply) {
	if seen := f.scrubs[m.Job]; seen != nil && m.Error == nil {
		seen[m.Node] = m
	}
}
