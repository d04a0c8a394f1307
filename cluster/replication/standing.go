package replication

import (
	"slices"

	"tiercel/messages"
)

// Standing is how the content of a volume stands, by the log alone: who has just fallen
// silent, and whose disk has just failed, is in no row yet.
type Standing struct {
	Stranded bool // no intact copy is reachable, one may come back
	Lost     bool // part of it is gone for good
}

// StandingOf judges a volume by its row and the rows of the workers; the state of a
// worker that has none is WORKER_STATE_UNSPECIFIED. A volume may be lost in part and
// stranded in the rest.
func StandingOf(row *messages.VolumeRow, state func(node string) messages.WorkerState) Standing {
	s := Standing{Lost: len(row.Lost) > 0}
	open := row.State == messages.VolumeState_OPEN // nobody has checked a copy that grows
	readable := func(m *messages.VolumeMember) bool {
		return (open || m.Verified && !m.Damaged) && present(state(m.Node))
	}
	content := copied(row) || open && row.CommittedEnd > 0
	if !content || slices.ContainsFunc(row.Members, readable) {
		return s
	}
	s.Stranded = slices.ContainsFunc(row.Members, func(m *messages.VolumeMember) bool { return !m.Damaged })
	s.Lost = s.Lost || !s.Stranded
	return s
}
