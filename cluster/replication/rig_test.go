package replication_test

import (
	"cmp"
	"slices"
	"strings"

	"tiercel/cluster/placement"
	"tiercel/cluster/replication"
	"tiercel/messages"
)

const gib = 1 << 30

type (
	kind   = messages.JobKind
	member = messages.VolumeMember
)

const (
	healthy        = messages.WorkerState_HEALTHY
	degraded       = messages.WorkerState_DEGRADED
	unreachable    = messages.WorkerState_UNREACHABLE
	decommissioned = messages.WorkerState_DECOMMISSIONED
)

// worker is healthy, half full, on a host of its own.
func worker(node string, change ...func(*replication.Worker)) replication.Worker {
	w := replication.Worker{Worker: placement.Worker{
		Node: node, State: healthy, Reached: true, Known: true, Writable: 500 * gib, Free: 500 * gib, Total: 1000 * gib, DiskType: "ssd", IOLoad: 0,
	}}
	for _, f := range change {
		f(&w)
	}
	return w
}

func in(s messages.WorkerState) func(*replication.Worker) {
	return func(w *replication.Worker) { w.State, w.Reached = s, s == healthy || s == degraded }
}

func drained(w *replication.Worker) { w.Draining = true }

func free(bytes uint64) func(*replication.Worker) {
	return func(w *replication.Worker) { w.Free, w.Writable = bytes, bytes }
}

func at(rack string) func(*replication.Worker) {
	return func(w *replication.Worker) { w.Rack = rack }
}

func on(host string) func(*replication.Worker) {
	return func(w *replication.Worker) { w.Host = host }
}

// volume is sealed, of tier 2, 1 GiB, its members verified. "b?" is not verified, "b!"
// damaged.
func volume(id uint64, members string, change ...func(*messages.VolumeRow)) *messages.VolumeRow {
	row := &messages.VolumeRow{
		Id: id, Tier: 2, State: messages.VolumeState_SEALED, Generation: 1, CommittedEnd: gib, SealedEnd: gib, LiveBytes: gib, Digest: []byte{1},
	}
	for node := range strings.FieldsSeq(members) {
		name := strings.TrimRight(node, "?!")
		row.Members = append(row.Members, &member{Node: name, Verified: name == node, Damaged: strings.HasSuffix(node, "!"), ReplicaGen: uint64(len(row.Members) + 1)})
	}
	for _, f := range change {
		f(row)
	}
	return row
}

func tierOf(t uint32) func(*messages.VolumeRow) { return func(r *messages.VolumeRow) { r.Tier = t } }

func length(bytes uint64) func(*messages.VolumeRow) {
	return func(r *messages.VolumeRow) { r.SealedEnd, r.CommittedEnd = bytes, bytes }
}

// by says which job brought a member.
func by(node string, job uint64) func(*messages.VolumeRow) {
	return func(r *messages.VolumeRow) {
		for _, m := range r.Members {
			if m.Node == node {
				m.Job = job
			}
		}
	}
}

// damagedAt says when the first member was found damaged.
func damagedAt(index uint64) func(*messages.VolumeRow) {
	return func(r *messages.VolumeRow) { r.Members[0].DamagedAt = index }
}

func jobIn(id uint64, k kind, subject string, s messages.JobState) *messages.JobRow {
	return &messages.JobRow{Id: id, Kind: k, Subject: subject, State: s, Cause: "asked for"}
}

func running(id uint64, k kind, subject string) *messages.JobRow {
	return jobIn(id, k, subject, messages.JobState_RUNNING)
}

// sound says which copies of volume 1 were just read.
func sound(nodes ...string) func(*replication.Input) {
	return func(i *replication.Input) {
		i.Sound = make(map[replication.Copy]bool)
		for _, node := range nodes {
			i.Sound[replication.Copy{Volume: 1, Node: node}] = true
		}
	}
}

// input is a cluster with two copies of tier 2, so three of tier 1.
func input(workers []replication.Worker, rows ...*messages.VolumeRow) replication.Input {
	return replication.Input{Rows: rows, Workers: workers, ReplicationFactor: 2, Weights: placement.DefaultWeights()}
}

// say renders steps as text: "add 7 d REPAIR/a", in order of volume.
func say(steps []replication.Step) []string {
	out := []string{}
	for _, s := range sorted(steps) {
		text := strings.Fields(s.Kind.String())[0] + " " + itoa(s.Volume) + " " + s.Node
		if s.Replace {
			text += " anew"
		}
		if s.Job != (replication.JobKey{}) {
			text += " for " + sayKey(s.Job)
		}
		out = append(out, text)
	}
	return out
}

func sorted(steps []replication.Step) []replication.Step {
	return slices.SortedFunc(slices.Values(steps), func(a, b replication.Step) int {
		return cmp.Or(cmp.Compare(a.Volume, b.Volume), strings.Compare(a.Node, b.Node))
	})
}

func sayKey(k replication.JobKey) string {
	text := k.Kind.String()
	if k.Subject != "" {
		text += " " + k.Subject
	}
	if k.Tier != 0 {
		text += " tier " + itoa(uint64(k.Tier))
	}
	return text
}

func sayJobs(views []replication.JobView) []string {
	out := []string{}
	for _, v := range views {
		out = append(out, sayKey(v.Key))
	}
	return out
}
