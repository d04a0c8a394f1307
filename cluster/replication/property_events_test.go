package replication_test

import (
	"slices"

	"tiercel/cluster/replication"
	"tiercel/messages"
)

// happen is one event.
func (w *world) happen() {
	x := &w.workers[w.r.IntN(len(w.workers))]
	row := w.rows[w.r.IntN(len(w.rows))]
	switch w.r.IntN(15) {
	case 0, 1:
		in(unreachable)(x)
		x.ChangedAt = w.next()
	case 2:
		in(decommissioned)(x)
		x.ChangedAt = w.next()
	case 3, 4:
		in(healthy)(x)
		x.ChangedAt = w.next()
	case 5:
		in(degraded)(x)
		x.ChangedAt = w.next()
	case 6:
		x.Draining = !x.Draining
	case 7:
		if m := row.Members[w.r.IntN(len(row.Members))]; w.intact(row, m) && w.holders(row) > 1 {
			m.Verified, m.Damaged = false, true
		}
	case 8:
		w.tiers = []*messages.TierRow{{Tier: 2, Copies: uint32(w.r.IntN(4))}}
	case 9:
		w.brake = !w.brake
	case 10:
		row.State = messages.VolumeState_RETIRING
	case 11:
		w.say()
	case 12:
		clear(w.failed)
	case 13, 14:
		if m := row.Members[w.r.IntN(len(row.Members))]; w.intact(row, m) && w.holders(row) > 1 {
			w.rotten[replication.Copy{Volume: row.Id, Node: m.Node}] = true
			delete(w.sound, replication.Copy{Volume: row.Id, Node: m.Node})
		}
	}
}

// say is an operator's word about a job.
func (w *world) say() {
	if len(w.jobs) == 0 {
		return
	}
	j := w.jobs[w.r.IntN(len(w.jobs))]
	states := []messages.JobState{messages.JobState_RUNNING, messages.JobState_PAUSED, messages.JobState_CANCELLED}
	if j.State == states[0] || j.State == states[1] {
		j.State = states[w.r.IntN(len(states))]
		if j.Kind == drain && j.State == messages.JobState_CANCELLED {
			w.worker(j.Subject).Draining = false
		}
	}
}

// holders are the intact copies, wherever they are.
func (w *world) holders(row *messages.VolumeRow) (n int) {
	for _, m := range row.Members {
		if w.intact(row, m) {
			n++
		}
	}
	return n
}

func host(w *replication.Worker) string {
	if w.Host == "" {
		return w.Node
	}
	return w.Host
}

// calm brings back most workers; those that stay away are away for good.
func (w *world) calm() {
	for i := range w.workers {
		x := &w.workers[i]
		if x.State != decommissioned || w.r.IntN(2) == 0 {
			in(healthy)(x)
		}
		x.Draining = x.Draining && w.r.IntN(3) == 0
	}
	w.brake, w.calmed, w.failed = false, true, nil
	for read := range w.rotten { // a scrub
		row := w.rows[read.Volume-1]
		for _, m := range row.Members {
			if m.Node == read.Node {
				m.Verified, m.Damaged = false, true
			}
		}
	}
	clear(w.rotten)
	w.jobs = slices.DeleteFunc(w.jobs, func(j *messages.JobRow) bool { return j.State == messages.JobState_CANCELLED }) // long ago
	for _, j := range w.jobs {
		if j.State == messages.JobState_PAUSED {
			j.State = messages.JobState_RUNNING
		}
	}
}
