package actors

import (
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"tiercel/actors/recovery"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/store"
)

// Takeover is what a take-over by hand does, or would do.
type Takeover struct {
	Node       model.NodeID
	ClusterID  model.ClusterID
	Generation uint64 // the new one
	Fork       string // empty in a plan
	At         uint64 // the log goes on after this entry
	Committed  uint64 // entries up to here are known to be committed
	Voted      bool   // this node was a voter, not a standby
	// Superseded are the Raft ids of the members that are left behind for good.
	Superseded []uint64
	// Left is what only these hold; nil: it could not be counted, and LeftUnknown says why.
	Left        *recovery.Left
	LeftUnknown string
	// LastWritten is when the newest entry here was proposed; zero: not known.
	LastWritten time.Time
}

// TakeOver makes the stopped node of a data directory the only voter of its cluster,
// one generation higher, with what its own log holds (DESIGN "Voters"). It is for a
// cluster whose other voters are gone for good: should one of them still run, there
// are two clusters from then on. apply false only plans.
//
// Errors are model.Error: unavailable when the directory is in use, corrupt when it is
// damaged, conflict when there is nothing to take over or this node may not.
func TakeOver(fs store.FS, random io.Reader, apply bool) (_ *Takeover, err error) {
	dir, err := store.OpenDataDir(fs, random, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	id := dir.Identity()
	t := &Takeover{Node: id.NodeID, ClusterID: id.ClusterID, Generation: id.Generation + 1}
	if err := t.read(dir, apply); err != nil {
		return nil, err
	}
	if !apply {
		return t, nil
	}
	var fork [8]byte
	if _, err := io.ReadFull(random, fork[:]); err != nil {
		return nil, model.Errorf(model.CodeUnavailable, "take over", "no random numbers for the fork's id: %w", err)
	}
	t.Fork = "f-" + hex.EncodeToString(fork[:])
	return t, dir.UpdateNode(func(n *store.NodeFile) {
		n.Generation, n.Fork, n.TakenOverAt, n.Superseded = t.Generation, t.Fork, t.At, t.Superseded
	})
}

// read finds out where the log of a directory ends and who its members are there. What
// is to be gone on with is made durable on the way; a plan changes nothing.
func (t *Takeover) read(dir *store.DataDir, apply bool) error {
	const op = "take over"
	node := dir.Identity()
	switch {
	case node.ClusterID == "":
		return model.Errorf(model.CodeConflict, op, "this node has not been taken in by a cluster yet; there is nothing to take over")
	case node.SupersededBy != 0:
		return model.Errorf(model.CodeConflict, op,
			"generation %d of this cluster is there already, without this node. If it was recovered or restored, `tiercel recover --worker` keeps the volumes here; "+
				"if it was taken over, start this node with --join to set its data aside and join that", node.SupersededBy)
	}
	end, err := recovery.ReadLog(op, dir.FS, node, !apply)
	if err != nil {
		return err
	}
	t.At, t.Committed, t.LastWritten = end.Last, end.Committed, end.LastWritten
	if err := t.judge(end.Conf, node.RaftID); err != nil {
		return err
	}
	// What it costs is worth a try; that it is not known keeps nobody from the only way.
	if t.Left, err = recovery.LeftBehind(op, dir.FS, t.Superseded); err != nil {
		t.LeftUnknown = err.Error()
	}
	return nil
}

func (t *Takeover) judge(conf *raftpb.ConfState, self uint64) error {
	const op = "take over"
	if !logconf.Member(conf, self) {
		return model.Errorf(model.CodeConflict, op, "this node no longer follows the log of its cluster; take over on the standby or on a voter")
	}
	t.Voted = logconf.Voter(conf, self)
	for _, id := range slices.Concat(conf.Voters, conf.VotersOutgoing, conf.Learners, conf.LearnersNext) {
		if id != self && !slices.Contains(t.Superseded, id) {
			t.Superseded = append(t.Superseded, id)
		}
	}
	slices.Sort(t.Superseded)
	if t.Voted && len(t.Superseded) == 0 {
		return model.Errorf(model.CodeConflict, op, "this node is the only voter of its cluster; start it, there is nothing to take over")
	}
	return nil
}
