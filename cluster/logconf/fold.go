package logconf

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/confchange"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
)

// Takeover is what a node remembers of a manual take-over (DESIGN "Voters"):
// entries up to At count as if Self had been the only voter. Zero: there was none.
type Takeover struct{ At, Self uint64 }

// Start is the set that a fold begins with: that of the snapshot, unless a
// take-over came later.
func Start(conf *raftpb.ConfState, snapshot uint64, t Takeover) *raftpb.ConfState {
	if t.At != 0 && snapshot <= t.At {
		return &raftpb.ConfState{Voters: []uint64{t.Self}}
	}
	return conf
}

// Fold returns the set after the entry at index; conf is not changed. Entries of
// other kinds than configuration changes leave it as it is.
func Fold(conf *raftpb.ConfState, index uint64, kind raftpb.EntryType, data []byte, t Takeover) (*raftpb.ConfState, error) {
	if kind == raftpb.EntryType_EntryNormal || t.At != 0 && index <= t.At {
		return conf, nil
	}
	change, err := Decode(kind, data)
	if err != nil {
		return nil, model.Errorf(model.CodeCorrupt, "read log", "entry %d is not a configuration change: %w", index, err)
	}
	next, err := apply(conf, index, change)
	if err != nil {
		return nil, model.Errorf(model.CodeCorrupt, "read log", "entry %d does not fit the voters %v: %w", index, conf.Voters, err)
	}
	return next, nil
}

// Decode reads a configuration change of either version. A transition that is none ends
// Raft, so it is an error here.
func Decode(kind raftpb.EntryType, data []byte) (*raftpb.ConfChangeV2, error) {
	if kind == raftpb.EntryType_EntryConfChange {
		var c raftpb.ConfChange
		if err := proto.Unmarshal(data, &c); err != nil {
			return nil, err
		}
		return c.AsV2(), nil
	}
	c := &raftpb.ConfChangeV2{}
	err := proto.Unmarshal(data, c)
	if _, known := raftpb.ConfChangeTransition_name[int32(c.GetTransition())]; err == nil && !known {
		err = fmt.Errorf("there is no transition %d", c.GetTransition())
	}
	return c, err
}

func apply(conf *raftpb.ConfState, index uint64, c *raftpb.ConfChangeV2) (*raftpb.ConfState, error) {
	changer := confchange.Changer{Tracker: tracker.MakeProgressTracker(1, 0), LastIndex: index}
	cfg, progress, err := confchange.Restore(changer, conf)
	if err != nil {
		return nil, err
	}
	changer.Tracker.Config, changer.Tracker.Progress = cfg, progress
	if c.LeaveJoint() {
		cfg, progress, err = changer.LeaveJoint()
	} else if autoLeave, joint := c.EnterJoint(); joint {
		cfg, progress, err = changer.EnterJoint(autoLeave, c.Changes...)
	} else {
		cfg, progress, err = changer.Simple(c.Changes...)
	}
	if err != nil {
		return nil, err
	}
	changer.Tracker.Config, changer.Tracker.Progress = cfg, progress
	return changer.Tracker.ConfState(), nil
}

// Joint reports whether a change is under way.
func Joint(conf *raftpb.ConfState) bool { return len(conf.VotersOutgoing) > 0 }

// Member reports whether id votes or learns.
func Member(conf *raftpb.ConfState, id uint64) bool {
	return slices.Contains(conf.Voters, id) || slices.Contains(conf.Learners, id) ||
		slices.Contains(conf.VotersOutgoing, id) || slices.Contains(conf.LearnersNext, id)
}

// Voter reports whether id votes, in either half of a joint set.
func Voter(conf *raftpb.ConfState, id uint64) bool {
	return slices.Contains(conf.Voters, id) || slices.Contains(conf.VotersOutgoing, id)
}

// Quorum reports whether those for which alive is true are a majority of the
// voters, of both halves of a joint set.
func Quorum(conf *raftpb.ConfState, alive func(id uint64) bool) bool {
	return majority(conf.Voters, alive) && (len(conf.VotersOutgoing) == 0 || majority(conf.VotersOutgoing, alive))
}

func majority(ids []uint64, alive func(uint64) bool) bool {
	n := 0
	for _, id := range ids {
		if alive(id) {
			n++
		}
	}
	return n > len(ids)/2
}

// Change is the configuration change from conf to the voters and learners wanted;
// nil when there is nothing to do. More than one step goes through a joint set
// that is left by itself.
func Change(conf *raftpb.ConfState, voters, learners []uint64) *raftpb.ConfChangeV2 {
	c := &raftpb.ConfChangeV2{}
	add := func(kind raftpb.ConfChangeType, id uint64) {
		c.Changes = append(c.Changes, &raftpb.ConfChangeSingle{Type: &kind, NodeId: &id})
	}
	for _, id := range voters {
		if !slices.Contains(conf.Voters, id) {
			add(raftpb.ConfChangeType_ConfChangeAddNode, id)
		}
	}
	for _, id := range learners {
		if !slices.Contains(conf.Learners, id) {
			add(raftpb.ConfChangeType_ConfChangeAddLearnerNode, id)
		}
	}
	for _, id := range slices.Concat(conf.Voters, conf.Learners) {
		if !slices.Contains(voters, id) && !slices.Contains(learners, id) {
			add(raftpb.ConfChangeType_ConfChangeRemoveNode, id)
		}
	}
	if len(c.Changes) == 0 {
		return nil
	}
	return c
}
