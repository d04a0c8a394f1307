package store

import (
	"fmt"
	"io"
	"path"
	"strings"

	"tiercel/cluster/model"
)

// setAside moves the data of a node whose cluster was taken over without it to
// quarantine/superseded-<generation>-<raft id>/, with its node.yaml and the reason
// beside it, and makes a new node of the directory, one that joins. Nothing is
// deleted. It may be cut off anywhere: until the new node.yaml is durable the next
// start finds the old one and goes on.
func (d *DataDir) setAside(random io.Reader) error {
	const op = "set superseded data aside"
	old := d.node
	target := path.Join(dirQuarantine, fmt.Sprintf("superseded-%d-%016x", old.SupersededBy, old.RaftID))
	text := fmt.Sprintf("%s was at generation %d of cluster %s, and met generation %d, which was there without it: taken over,\n"+
		"recovered or restored. Then it was started with --join, as a new node.\n"+
		"What is here is the log, the snapshots and the volumes of %s as they were; they may hold writes that the\n"+
		"new generation does not have. Nothing here is used or deleted. Of a cluster that was recovered or restored,\n"+
		"'tiercel recover --worker' before that start would have kept the volumes in use; no command puts them back.\n",
		old.NodeID, old.Generation, old.ClusterID, old.SupersededBy, old.NodeID)
	body, err := old.encode()
	if err != nil {
		return model.Errorf(model.CodeInternal, op, "node.yaml cannot be encoded: %w", err)
	}
	if err := d.FS.MkdirAll(target); err != nil {
		return failed(model.CodeUnavailable, op, target+"/ cannot be made", err)
	}
	// The reason and the identity first: what is set aside never lies there without them.
	for _, f := range []struct {
		name string
		data []byte
	}{{"reason.txt", []byte(text)}, {nodeFile, body}} {
		if err := replaceFile(d.FS, path.Join(target, f.name), f.data); err != nil {
			return failed(model.CodeUnavailable, op, path.Join(target, f.name)+" cannot be written", err)
		}
	}
	for _, dir := range []string{dirLog, dirSnapshots, dirVolumes} {
		if err := d.moveTree(dir, path.Join(target, dir)); err != nil {
			return failed(model.CodeUnavailable, op, dir+"/ cannot be moved to "+target, err)
		}
	}
	next, err := newNodeFile(random, true)
	if err != nil {
		return failed(model.CodeUnavailable, op, "no random numbers for the node's identity", err)
	}
	next.Peers = old.Peers
	d.node = next
	d.aside, err = weighAside(d.FS, target, old)
	return err
}

// Aside is what a start has set aside, volumes included.
type Aside struct {
	Dir        string // below the data directory
	Node       model.NodeID
	Superseded uint64 // the generation that it met
	Volumes    int
	Bytes      int64 // of them
}

// SetAside is what this start has set aside; nil: nothing. It is told once: for the next
// start the directory is that of a new node.
func (d *DataDir) SetAside() *Aside { return d.aside }

// weighAside counts what lies there, also of a start before that was cut off.
func weighAside(fsys FS, target string, old NodeFile) (*Aside, error) {
	a := &Aside{Dir: target, Node: old.NodeID, Superseded: old.SupersededBy}
	for _, tier := range model.Tiers {
		dir := path.Join(target, tierDir(tier))
		names, err := listIfThere(fsys, dir)
		if err != nil {
			return nil, failed(model.CodeUnavailable, "set superseded data aside", dir+"/ cannot be listed", err)
		}
		for _, name := range names {
			if info, err := fsys.Stat(path.Join(dir, name)); err == nil && strings.HasSuffix(name, ".vol") {
				a.Volumes++
				a.Bytes += info.Size
			}
		}
	}
	return a, nil
}

// moveTree moves every file below from to the same place below to, and leaves the
// directories of from as they are. The new names are durable before the old ones end.
func (d *DataDir) moveTree(from, to string) error {
	names, err := d.FS.List(from)
	if err != nil {
		return err
	}
	if err := d.FS.MkdirAll(to); err != nil {
		return err
	}
	for _, name := range names {
		if sub, isDir := strings.CutSuffix(name, "/"); isDir {
			if err := d.moveTree(path.Join(from, sub), path.Join(to, sub)); err != nil {
				return err
			}
			continue
		}
		move := d.FS.Rename
		if _, err := d.FS.Stat(path.Join(to, name)); err == nil {
			// A power loss came between the two directories: it is one file under two names,
			// and renaming it to itself would change nothing.
			move = func(name, _ string) error { return d.FS.Remove(name) }
		}
		if err := move(path.Join(from, name), path.Join(to, name)); err != nil {
			return err
		}
	}
	for _, dir := range []string{to, from} {
		if err := d.FS.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
