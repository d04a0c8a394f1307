package member

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// adopted is the result of meeting a higher generation.
type adopted struct {
	generation uint64
	node       string // that told of it
	holder     bool
	err        error
}

// newer reports whether a generation is above our own, and sees to it: a member of
// the log ends, because its log may be a fork; a node that only holds volumes goes on
// in the new generation.
func (m *Member) newer(ctx *runtime.Context, generation uint64, node string) bool {
	if generation <= m.cfg.Identity().Generation {
		return false
	}
	if m.adopting >= generation {
		return true
	}
	m.adopting = generation
	holds, update := m.cfg.HoldsLog, m.cfg.UpdateNode
	ctx.Offload(func() any {
		holder, err := holds()
		if err == nil {
			err = update(func(n *store.NodeFile) {
				if holder {
					n.SupersededBy = max(n.SupersededBy, generation)
				} else {
					n.Generation = max(n.Generation, generation)
				}
			})
		}
		return &adopted{generation: generation, node: node, holder: holder, err: err}
	})
	return true
}

func (m *Member) onAdopted(ctx *runtime.Context, a *adopted) {
	switch {
	case a.err != nil:
		ctx.Runtime().Halt(a.err)
	case a.holder:
		ctx.Runtime().Halt(superseded(a.generation, a.node))
	default:
		m.adopting = 0
		ctx.Log().Warn("the cluster was taken over by hand; this node goes on in the new generation", "generation", a.generation)
		if m.phase != serving {
			m.greetAll(ctx)
		}
	}
}

func superseded(generation uint64, node string) error {
	return model.Errorf(model.CodeStaleEpoch, "join",
		"%s is at generation %d of this cluster: it was taken over, recovered or restored while this node was away. "+
			"After `tiercel recover` or `tiercel restore`, run `tiercel recover --worker` on this directory before anything starts this node again: its volumes stay in use. "+
			"After `tiercel takeover`, start this node again with --join: its data, volumes included, is set aside in quarantine/, which no command undoes, and it joins anew, as a new node",
		node, generation)
}

// cluster of a master's word, empty when it says none.
func clusterOf(r *messages.MasterReady) string { return r.GetCluster().GetClusterId() }
