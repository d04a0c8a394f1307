package shortage

import (
	"fmt"
	"slices"

	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/cluster/voters"
	"tiercel/messages"
)

// Of names what the workers that stay cannot give: those that have neither left nor been
// evacuated, and are not being drained. nodes are the names of rows.
func Of(cluster *messages.ClusterRow, nodes []string, rows []*messages.WorkerRow) (out []string) {
	if cluster == nil {
		return nil
	}
	hosts, stay := present(nodes, rows)
	grant := license.Of(cluster.License)
	for _, t := range model.Tiers {
		if grant.Replicates(t) {
			out = append(out, copies(cluster, t, hosts, stay)...)
		}
	}
	if cluster.Failover && grant.Has(license.Failover) && stay == 2 && voters.Size(stay, true) == 1 {
		out = append(out, "no other node takes over by itself when the master fails: that needs 3 workers, and 2 stay; add one")
	}
	return out
}

// Waits reports whether writes of a tier wait for want of workers, as Of says in words.
func Waits(cluster *messages.ClusterRow, nodes []string, rows []*messages.WorkerRow) bool {
	hosts, stay := present(nodes, rows)
	grant := license.Of(cluster.GetLicense())
	return slices.ContainsFunc(model.Tiers[:], func(t model.Tier) bool {
		return cluster != nil && stay > 0 && grant.Replicates(t) && hosts < tier.MinCopies(cluster.Tiers, t, stay)
	})
}

// present counts the workers that stay, and the hosts that they are on.
func present(nodes []string, rows []*messages.WorkerRow) (hosts, stay int) {
	on := make(map[string]bool)
	for i, row := range rows {
		if row.State == messages.WorkerState_LEFT || row.State == messages.WorkerState_DECOMMISSIONED || row.Draining {
			continue
		}
		stay++
		host := row.Host
		if host == "" {
			host = "\x00" + nodes[i] // without a label it stands alone
		}
		on[host] = true
	}
	return len(on), stay
}

func copies(cluster *messages.ClusterRow, t model.Tier, hosts, stay int) (out []string) {
	if least := tier.MinCopies(cluster.Tiers, t, stay); hosts < least {
		out = append(out, fmt.Sprintf("writes of the %s tier wait: each needs %s on hosts of their own before it is acknowledged, and there are workers on %d; "+
			"add workers, or lower min_copies of tier %d", t.Name(), counted(least, "copy", "copies"), hosts, t))
	}
	if wanted := tier.Wanted(cluster.Tiers, t, int(cluster.ReplicationFactor)); hosts < wanted {
		out = append(out, fmt.Sprintf("the %s tier asks for %s on hosts of their own, and there are workers on %d: files have no more than that; "+
			"add workers, or lower copies of tier %d", t.Name(), counted(wanted, "copy", "copies"), hosts, t))
	}
	return out
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// New are the shortages of after that before does not have: what a change brings about.
func New(before, after []string) (out []string) {
	for _, s := range after {
		if !slices.Contains(before, s) {
			out = append(out, s)
		}
	}
	return out
}
