package model

import (
	"fmt"
	"strconv"
)

// NodeID names one process with one identity and one data directory. It is
// random, durable, and never reused: `n-` and 16 hexadecimal digits.
type NodeID string

// ClusterID names one cluster for all its life: `c-` and 16 hexadecimal digits.
type ClusterID string

// VolumeID numbers volumes within a cluster, from 1, never reused.
type VolumeID uint64

// String renders the id as it appears in file names and JSON.
func (v VolumeID) String() string { return strconv.FormatUint(uint64(v), 10) }

// Bytes is a size or an offset in bytes.
type Bytes int64

// Tier says how much the data is worth: 1 critical, 2 important, 3 rebuildable.
type Tier uint8

// The three tiers of DESIGN "Tiers". TierUnset asks for the tier of the path.
const (
	TierUnset       Tier = 0
	TierCritical    Tier = 1
	TierImportant   Tier = 2
	TierRebuildable Tier = 3
)

// Tiers lists the tiers in the order of their worth.
var Tiers = [...]Tier{TierCritical, TierImportant, TierRebuildable}

// Valid reports whether t is one of the three tiers.
func (t Tier) Valid() bool { return t >= TierCritical && t <= TierRebuildable }

// Name is the word for the tier in API answers.
func (t Tier) Name() string {
	switch t {
	case TierCritical:
		return "critical"
	case TierImportant:
		return "important"
	case TierRebuildable:
		return "rebuildable"
	}
	return "unset"
}

// Synced reports whether a write of this tier is acknowledged only after its
// primary has made it durable with fsync. Tier 3 is not: it can be rebuilt.
func (t Tier) Synced() bool { return t != TierRebuildable }

// Epoch orders masters: the generation grows only when an operator takes over
// or recovers by hand, the term is Raft's.
type Epoch struct {
	Generation uint64
	Term       uint64
}

// Less reports whether e is older than other.
func (e Epoch) Less(other Epoch) bool {
	if e.Generation != other.Generation {
		return e.Generation < other.Generation
	}
	return e.Term < other.Term
}

// String renders the epoch as generation.term, the form of API.md's `epoch`.
func (e Epoch) String() string { return fmt.Sprintf("%d.%d", e.Generation, e.Term) }
