package volumes

import (
	"cmp"
	"fmt"
	"slices"

	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// MinCopies is how many copies a tier must have for its writes to be taken: for
// tier 1 two, where there are two workers that have not left.
func MinCopies(t model.Tier, workers int) int {
	if t == model.TierCritical {
		return max(1, min(2, workers))
	}
	return 1
}

// choose picks the members of a new volume, the primary first: eligible workers on
// hosts of their own, the right disks first, then those with fewer open volumes.
// None, with the reason, when there are too few for the tier.
func (p *planner) choose(t model.Tier) (members []string, why string) {
	wanted := tier.Copies(t, p.in.ReplicationFactor)
	var fit []*Worker
	full := 0
	for i := range p.in.Workers {
		w := &p.in.Workers[i]
		switch {
		case w.State != messages.WorkerState_HEALTHY || w.Suspect || !w.Reached:
		case !w.Accepts:
			full++
		default:
			fit = append(fit, w)
		}
	}
	slices.SortFunc(fit, func(a, b *Worker) int {
		return cmp.Or(
			cmp.Compare(mismatch(t, a.DiskType), mismatch(t, b.DiskType)),
			cmp.Compare(p.load[a.Node], p.load[b.Node]),
			cmp.Compare(a.Node, b.Node),
		)
	})
	var hosts []string
	for _, w := range fit {
		if len(members) == wanted {
			break
		}
		if w.Host != "" && slices.Contains(hosts, w.Host) {
			continue
		}
		hosts = append(hosts, w.Host)
		members = append(members, w.Node)
	}
	if least := MinCopies(t, p.present); len(members) < least {
		return nil, fmt.Sprintf("%d of %d workers can take new content, the %s tier needs %d on hosts of their own (%d are full)",
			len(members), p.present, t.Name(), least, full)
	}
	return members, fmt.Sprintf("%d of %d eligible workers, for %d copies", len(members), len(fit), wanted)
}

// mismatch orders disk types for a tier: SSD first for what is worth something,
// HDD first for what can be rebuilt.
func mismatch(t model.Tier, diskType string) int {
	solid := diskType == "nvme" || diskType == "ssd"
	if (t == model.TierRebuildable) == solid && diskType != "" {
		return 1
	}
	return 0
}
