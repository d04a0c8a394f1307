package recovery

import (
	"fmt"
	"strings"

	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
)

// intact is a directory whose node could start on its log.
type intact struct {
	*source
	end *LogEnd
}

// intactLogs are the directories whose log can be gone on with.
func (s *sources) intactLogs() (found []intact) {
	for _, d := range s.dirs {
		if d.node.Joined && !d.node.HeldLog {
			continue // it never was a member
		}
		if end, err := ReadLog(op, d.dir.FS, d.node, true); err == nil && len(end.Conf.Voters) > 0 {
			found = append(found, intact{d, end})
		}
	}
	return found
}

// refuseIntact refuses to give up a log that is intact: there is a way that misses less.
func (s *sources) refuseIntact(worker bool) error {
	logs := s.intactLogs()
	var left []intact // that know of no life of the cluster after theirs
	for _, d := range logs {
		if d.node.SupersededBy == 0 {
			left = append(left, d)
		}
	}
	switch {
	case worker && len(left) > 0:
		return model.Errorf(model.CodeConflict, op,
			"the log of %s can be read to its end, and this node has not heard of a cluster without it: start it as it is. If the cluster was recovered or restored elsewhere, "+
				"or the log is known not to be whole (an older copy, or a start that says so), --discard-log sets it aside", left[0].name)
	case worker || len(logs) == 0:
		return nil
	case len(left) == 0:
		return model.Errorf(model.CodeConflict, op,
			"the log of %s is intact, and generation %d of its cluster is there already: `tiercel recover --worker` keeps the volumes and lets this node join that; "+
				"--discard-log recovers all the same, as a generation above it", logs[0].name, logs[0].node.SupersededBy)
	}
	return wayOut(left)
}

// wayOut is what to do instead of a recovery.
func wayOut(logs []intact) error {
	ends := make([]logconf.End, 0, len(logs))
	for _, d := range logs {
		ends = append(ends, logconf.End{Self: d.node.RaftID, Term: d.end.Term, Last: d.end.Last, Conf: d.end.Conf})
	}
	s := logconf.Stand(ends)
	if s.Majority {
		return model.Errorf(model.CodeConflict, op,
			"there is nothing to recover: %s intact, and with that %d of %d voters, enough for a majority. Start these nodes as before: "+
				"the cluster goes on with all that it had. --discard-log recovers all the same, and would only know what was journaled",
			logsOf(logs), s.Voting, s.Voters)
	}
	best := logs[s.Furthest]
	if !logconf.Member(best.end.Conf, best.node.RaftID) {
		return model.Errorf(model.CodeConflict, op,
			"the log of %s is intact, but its node no longer follows the log of its cluster. Name the directories of more nodes: one of them may know more; "+
				"--discard-log sets this log aside and recovers", best.name)
	}
	return model.Errorf(model.CodeConflict, op,
		"%s intact, and with that %d of %d voters: too few for a majority. If other voters have their logs, start them together, and the cluster goes on with all that it had. "+
			"If not, there are two ways. `tiercel takeover --data-dir %s` knows every change that the log there holds, which goes furthest of these, "+
			"but gives up the other voters with what only their volumes hold. --discard-log recovers: with the volumes of all directories that are named, "+
			"and of the changes with those that were journaled",
		logsOf(logs), s.Voting, s.Voters, best.name)
}

// logsOf begins a sentence about them.
func logsOf(logs []intact) string {
	all := make([]string, 0, len(logs))
	for _, d := range logs {
		all = append(all, fmt.Sprintf("%s (%s)", d.name, d.id))
	}
	if len(all) == 1 {
		return "the log of " + all[0] + " is"
	}
	return "the logs of " + strings.Join(all, ", ") + " are"
}
