package store

import (
	"errors"
	"io/fs"

	"tiercel/cluster/model"
)

// FirstIndex is where the log of a founder begins: its first snapshot, empty and naming
// it as the only voter, stands there.
const FirstIndex = 1

// LostLog says which part of a node's log is gone; empty: none. It only looks. Who has
// forgotten what it voted for and what it confirmed must not vote again under its Raft
// id, and must not be taken for a node at its beginning either. What is there and damaged
// is not lost: whoever reads it says what is wrong with it.
//
// A node whose log is only partly gone cannot always tell: the end of the log of a member
// may lie behind its snapshot, which was being installed when it ended.
func LostLog(fsys FS, node NodeFile) (what string, err error) {
	entries, err := holdsEntries(fsys)
	if err != nil {
		return "", err
	}
	snapshots, err := ListSnapshots(fsys)
	if err != nil {
		return "", err
	}
	switch {
	case node.HeldLog && !entries:
		return "log/ is empty, but this node was a member of its cluster's log: it has forgotten what it voted for and what it confirmed", nil
	case node.HeldLog && len(snapshots) == 0:
		return "snapshots/ is empty, but this node was a member of its cluster's log, which goes on from a snapshot", nil
	case node.HeldLog || node.Joined:
		return "", nil // a node that joins holds no log until it is made a member
	case len(snapshots) == 0:
		return lostBeginning(fsys)
	case !entries && snapshots[len(snapshots)-1] > FirstIndex:
		return "log/ is empty but snapshots/ has more than the first one", nil
	}
	return "", nil
}

// lostBeginning: a founder makes its first snapshot before anything else.
func lostBeginning(fsys FS) (what string, err error) {
	dirs := []string{dirLog}
	for _, tier := range model.Tiers {
		dirs = append(dirs, tierDir(tier))
	}
	for _, dir := range dirs {
		names, err := listIfThere(fsys, dir)
		if err != nil {
			return "", failed(model.CodeUnavailable, "open data directory", dir+"/ cannot be listed", err)
		}
		if len(names) > 0 {
			return "snapshots/ is empty but " + dir + "/ is not", nil
		}
	}
	return "", nil
}

// RefuseLostLog is LostLog as the error of a start, with what to do.
func RefuseLostLog(fsys FS, node NodeFile) error {
	what, err := LostLog(fsys, node)
	if err != nil || what == "" {
		return err
	}
	return model.Errorf(model.CodeCorrupt, "open data directory", "%s; nothing was changed. %s", what, LostLogHelp)
}

// LostLogHelp is what to do about a lost log.
const LostLogHelp = "If log/ and snapshots/ can be had as they were when the node ended, restore both (an older copy is not enough). " +
	comeBack + ". If all voters lost theirs, `tiercel recover` makes the catalog again from their volumes; " +
	"if so many did that no majority is left, it says which ways there are"

// comeBack is how a node whose log is no use comes back to a cluster that has voters
// enough. Its volumes stay in use; an empty directory is the second way.
const comeBack = "If the cluster goes on without this node, or was recovered or restored elsewhere, run `tiercel recover --worker --data-dir DIR --yes` here and start the node with --join: " +
	"its volumes stay in use, and it learns and votes again under a new Raft id. (Or start with an empty data directory, as a new node, and remove this one there with `tiercel workers remove`; " +
	"what lies only in its volumes is not in the new one)"

// DamagedLogHelp is what to do about a log that is there, and damaged or not whole. What
// is left of it must not be gone on with, and an older copy has forgotten what was
// confirmed since.
const DamagedLogHelp = "Do not move log/ away yourself, and do not put an older copy in its place: the node would have forgotten what it confirmed. " + comeBack +
	"; where a piece is missing and the rest can be read, that takes --discard-log, too. " +
	"If no majority of the voters is left, `tiercel recover` says which ways there are"

// holdsEntries reports whether log/ holds anything. The log of a member goes on after a
// snapshot, so that the name of a segment tells; only what may be a log at its very
// beginning is read.
func holdsEntries(fsys FS) (bool, error) {
	names, err := listIfThere(fsys, dirLog)
	if err != nil {
		return false, failed(model.CodeUnavailable, "open log", "log/ cannot be listed", err)
	}
	found := false
	for _, name := range names {
		_, first, ok := parseSegmentName(name)
		if ok && first > FirstIndex {
			return true, nil
		}
		found = found || ok
	}
	if !found {
		return false, nil
	}
	wal, rec, err := OpenWAL(fsys, WALOptions{ReadOnly: true})
	if model.CodeOf(err) == model.CodeCorrupt {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return rec.Last > 0, wal.Close()
}

// listIfThere lists a directory, which may be missing.
func listIfThere(fsys FS, dir string) ([]string, error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}
