package volumes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/cluster/tier"
)

// minCopies is what the tier asks for; one where the licence has no more.
func (p *planner) minCopies(t model.Tier) int {
	if p.in.Single[t] {
		return 1
	}
	return tier.MinCopies(p.in.Tiers, t, p.present)
}

func (p *planner) wanted(t model.Tier) int {
	if p.in.Single[t] {
		return 1
	}
	return tier.Wanted(p.in.Tiers, t, p.in.ReplicationFactor)
}

// choose picks the members of a new volume by score, the primary first (DESIGN
// "Placement"). None, with the reason, when there are too few for the tier.
func (p *planner) choose(t model.Tier) (members []string, why string) {
	wanted := p.wanted(t)
	workers := make([]placement.Worker, len(p.in.Workers))
	for i := range p.in.Workers {
		workers[i] = p.in.Workers[i].Worker
		workers[i].Open = p.load[workers[i].Node]
	}
	members, judged := placement.Pick(placement.Request{Tier: t, Copies: wanted, Taken: p.sets[t], Preference: tier.Preference(p.in.Tiers, t)}, workers, p.in.Weights)
	if least := p.minCopies(t); len(members) < least {
		return nil, fmt.Sprintf("%d of %d workers can take new content, the %s tier needs %d on hosts of their own%s",
			len(members), p.present, t.Name(), least, refusals(judged))
	}
	return members, placement.Decision(judged, wanted)
}

// refusals counts the filters that kept workers out, in words.
func refusals(judged []placement.Judgement) string {
	counts := make(map[string]int)
	for _, j := range judged {
		if j.Refusal != "" {
			counts[string(j.Refusal)]++
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], strings.ReplaceAll(name, "_", " ")))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
