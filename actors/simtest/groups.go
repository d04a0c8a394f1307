package simtest

import "tiercel/cluster/model"

// group is a pair of paths of one tier; moves happen within it, so a group is one
// object to the linearizability checker.
type group struct {
	tier  model.Tier
	paths [2]string
}

var groups = [...]group{
	{model.TierCritical, [2]string{"/models/a", "/models/b"}},
	{model.TierImportant, [2]string{"/sessions/a", "/sessions/b"}},
	{model.TierRebuildable, [2]string{"/cache/a", "/cache/b"}},
}

func pathOf(g, p int) string { return groups[g].paths[p] }
