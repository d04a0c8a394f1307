package replication

import (
	"slices"

	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// DryRun tells what a rebalance, or the drain of the worker subject, would move if it
// began now: everything, not only what there is room for at once.
func DryRun(in Input, kind messages.JobKind, subject string) (moves []Move, bytes uint64, blockers []string) {
	in.PerWorker, in.Total, in.Settling, in.Failed = 0, 0, nil, nil
	key := JobKey{Kind: kind, Subject: subject}
	in.Jobs = trial(in.Jobs, key)
	switch kind {
	case messages.JobKind_DRAIN:
		in.Workers = slices.Clone(in.Workers)
		for i := range in.Workers {
			if in.Workers[i].Node == subject {
				in.Workers[i].Draining = true
			}
		}
	case messages.JobKind_REBALANCE:
	default:
		return nil, 0, []string{"only a drain or a rebalance can be tried"}
	}
	out := plan(in, maxDryMoves)
	for _, s := range out.Steps {
		if s.Kind != AddMember || s.Job != key {
			continue
		}
		from := s.From
		if kind == messages.JobKind_DRAIN {
			from = subject
		}
		moves = append(moves, Move{Volume: s.Volume, Tier: s.Tier, Bytes: s.Bytes, From: from, To: s.Node, Job: key, Why: s.Why})
		bytes += s.Bytes
	}
	for _, v := range out.Jobs {
		if v.Key == key {
			blockers = v.Blockers
		}
	}
	if kind == messages.JobKind_DRAIN {
		for _, m := range openMoves(&in, key) {
			moves = append(moves, m)
			bytes += m.Bytes
		}
	}
	return moves, bytes, blockers
}

// openMoves are the open volumes of which a worker to be drained has a copy that somebody
// else takes. Nobody knows yet who: each is sealed first.
func openMoves(in *Input, key JobKey) (moves []Move) {
	for _, row := range in.Rows {
		if row.State != messages.VolumeState_OPEN || row.CommittedEnd == 0 || len(moves) >= maxDryMoves {
			continue
		}
		if takenElsewhere(in, row, key.Subject) {
			moves = append(moves, Move{
				Volume: row.Id, Tier: model.Tier(row.Tier), Bytes: row.CommittedEnd, From: key.Subject, Job: key,
				Why: "it is open: it is sealed first, and then goes where there is room",
			})
		}
	}
	return moves
}

// takenElsewhere reports whether a volume has a copy on a worker that leaves, wants it, and
// finds another host for it.
func takenElsewhere(in *Input, row *messages.VolumeRow, leaves string) bool {
	holds, hosts := false, make(map[string]bool)
	for _, m := range row.Members {
		holds = holds || m.Node == leaves
		if i := slices.IndexFunc(in.Workers, func(w Worker) bool { return w.Node == m.Node }); i >= 0 && able(&in.Workers[i]) {
			hosts[hostOf(&in.Workers[i])] = true
		}
	}
	return holds && len(hosts) < tier.WantedOf(row, in.Tiers, in.ReplicationFactor) &&
		slices.ContainsFunc(in.Workers, func(w Worker) bool { return able(&w) && !hosts[hostOf(&w)] })
}

// trial is jobs with one of the key that runs.
func trial(jobs []*messages.JobRow, key JobKey) []*messages.JobRow {
	out := slices.DeleteFunc(slices.Clone(jobs), func(j *messages.JobRow) bool {
		return isActive(j) && j.Kind == messages.JobKind_REBALANCE || keyOf(j) == key && isActive(j)
	})
	id := uint64(1)
	for _, j := range jobs {
		id = max(id, j.Id+1)
	}
	return append(out, &messages.JobRow{Id: id, Kind: key.Kind, Subject: key.Subject, Tier: key.Tier, State: messages.JobState_RUNNING})
}
