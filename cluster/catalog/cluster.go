package catalog

import (
	"bytes"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/license"
	"tiercel/messages"
)

// nextCluster is a copy of the cluster row to change and set.
func (c *Catalog) nextCluster() *messages.ClusterRow { return proto.CloneOf(c.cluster) }

// setCluster replaces the cluster row, which readers may hold.
func (c *Catalog) setCluster(row *messages.ClusterRow) {
	c.cluster = row
	c.setRow(keyCluster, row)
}

// bootstrap gives the cluster its name and writes every default into the log,
// once for all its life.
func (c *Catalog) bootstrap(e entry, boot *messages.Bootstrap) *messages.CommandResult {
	if c.cluster != nil {
		return refuse("already_bootstrapped", "cluster_id", c.cluster.ClusterId)
	}
	c.checkVersion(boot.GetClusterVersion())
	if c.halted != nil {
		return nil
	}
	field := ""
	switch {
	case !validName(boot.GetClusterId()):
		field = "cluster_id"
	case boot.ReplicationFactor < 1 || boot.ReplicationFactor >= MaxMembers:
		field = "replication_factor"
	case boot.ClusterVersion == 0:
		field = "cluster_version"
	case boot.IdempotencyKeysPerTenant > MaxIdempotencyKeysPerTenant:
		field = "idempotency_keys_per_tenant"
	case !validTiers(boot.Tiers):
		field = "tiers"
	case boot.Settings != nil && wrongSetting(boot.Settings) != "":
		field = "settings"
	case boot.License != nil && wrongLicense(boot.License) != "":
		field = "license"
	}
	if field != "" {
		return refuse("bad_bootstrap", "field", field)
	}
	row := &messages.ClusterRow{
		ClusterId:                boot.ClusterId,
		Generation:               1,
		NextVolume:               1,
		NextReplicaGen:           1,
		ClusterVersion:           boot.ClusterVersion,
		ReplicationFactor:        boot.ReplicationFactor,
		CreatedUnixMs:            e.cmd.ProposedUnixMs,
		IdempotencyKeysPerTenant: boot.IdempotencyKeysPerTenant,
		Failover:                 boot.Failover,
	}
	if boot.Settings != nil {
		row.Settings = proto.CloneOf(boot.Settings)
		row.Settings.Version = e.index
	}
	if boot.License != nil {
		row.License, _, _ = license.Install(nil, boot.License, e.index) // nothing, when it has expired
	}
	for _, tier := range boot.Tiers {
		row.Tiers = append(row.Tiers, proto.CloneOf(tier))
	}
	c.setCluster(row)
	return &messages.CommandResult{Version: e.index, Created: true}
}

// validTiers accepts a tier table: known tiers, patterns that can match a path.
func validTiers(rows []*messages.TierRow) bool {
	total := len(rows)
	for _, row := range rows {
		if !validTier(row.GetTier()) {
			return false
		}
		total += len(row.Prefixes) + len(row.Suffixes)
		for _, p := range row.Prefixes {
			if !validName(p) || p[0] != '/' {
				return false
			}
		}
		for _, p := range row.Suffixes {
			if !validName(p) {
				return false
			}
		}
	}
	return total <= MaxTierPatterns
}

// masterStarted records the master of a term. Raft has one leader in a term, so
// the same term from another node is as stale as an older one.
func (c *Catalog) masterStarted(e entry, started *messages.MasterStarted) *messages.CommandResult {
	node, term, old := started.GetNode(), started.GetTerm(), c.cluster
	switch {
	case !validName(node):
		return refuse("bad_field", "field", "node")
	case term == 0:
		return refuse("bad_field", "field", "term")
	case started.Generation != 0 && started.Generation != old.Generation:
		return refuse("stale_generation_of_cluster", "generation", decimal(old.Generation))
	case term < old.Term, term == old.Term && node != old.Master:
		return refuse("stale_term", "term", decimal(old.Term), "master", old.Master)
	case term == old.Term:
		return &messages.CommandResult{Version: e.index}
	}
	row := c.nextCluster()
	row.Term, row.Master, row.MasterSinceUnixMs = term, node, e.cmd.ProposedUnixMs
	if row.KeptMaster != node {
		row.KeptMaster = "" // it has failed, or was not taken in the first place
	}
	c.setCluster(row)
	return &messages.CommandResult{Version: e.index}
}

// keepMaster notes which node an operator wants for master; none: the best one.
func (c *Catalog) keepMaster(e entry, keep *messages.KeepMaster) *messages.CommandResult {
	node := keep.GetNode()
	switch w := c.workers[node]; {
	case node == "": // whoever is best by itself
	case w == nil:
		return refuse("no_worker", "node", node)
	case w.State == messages.WorkerState_LEFT:
		return refuse("worker_left", "node", node)
	}
	if c.cluster.KeptMaster != node {
		row := c.nextCluster()
		row.KeptMaster = node
		c.setCluster(row)
	}
	return &messages.CommandResult{Version: e.index}
}

// checkStateHash compares the proposer's hash of the state after entry at_index
// with ours, when that is the state this very entry finds: at_index is applied
// and nothing lies between. Otherwise it says nothing, and the result says so. A
// difference stops this node: one of the two has gone wrong, and must not vote
// on with a state of its own.
func (c *Catalog) checkStateHash(e entry, check *messages.CheckStateHash) *messages.CommandResult {
	at, theirs := check.GetAtIndex(), check.GetHash()
	switch {
	case len(theirs) != len(c.hash.bytes()):
		return refuse("bad_field", "field", "hash")
	case at >= e.index:
		return refuse("future_hash")
	case at != c.applied || at+1 != e.index:
		return &messages.CommandResult{Details: map[string]string{"compared": "false"}}
	}
	if ours := c.StateHash(); !bytes.Equal(ours, theirs) {
		c.halt("corrupt", "the state after entry %d is %x here and %x at the master; "+
			"this node has diverged, rebuild it from another voter's snapshot", at, ours, theirs)
		return nil
	}
	return &messages.CommandResult{Details: map[string]string{"compared": "true"}}
}
