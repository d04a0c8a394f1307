package replication

import (
	"slices"

	"tiercel/cluster/model"
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
		for _, m := range openMoves(in.Rows, key) {
			moves = append(moves, m)
			bytes += m.Bytes
		}
	}
	return moves, bytes, blockers
}

// openMoves are the open volumes that a worker to be drained holds. Nobody knows yet
// where they will go: each is sealed first.
func openMoves(rows []*messages.VolumeRow, key JobKey) (moves []Move) {
	for _, row := range rows {
		if row.State != messages.VolumeState_OPEN || row.CommittedEnd == 0 || len(moves) >= maxDryMoves {
			continue
		}
		if slices.ContainsFunc(row.Members, func(m *messages.VolumeMember) bool { return m.Node == key.Subject }) {
			moves = append(moves, Move{
				Volume: row.Id, Tier: model.Tier(row.Tier), Bytes: row.CommittedEnd, From: key.Subject, Job: key,
				Why: "it is open: it is sealed first, and then goes where there is room",
			})
		}
	}
	return moves
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
