package master

import (
	"maps"
	"slices"

	"tiercel/actors/runtime"
)

// onHousekeeping forgets proposals whose outcome never came, and looks at the volumes.
func (c *Coordinator) onHousekeeping(ctx *runtime.Context) {
	ctx.After(c.cfg.ReconcileTick, housekeeping{})
	old := ctx.Now().Add(-proposalPatience)
	for _, id := range slices.Collect(maps.Keys(c.proposals)) {
		if c.proposals[id].since.Before(old) {
			delete(c.proposals, id)
		}
	}
	c.tendQuotas(ctx)
	c.reconcile(ctx)
}
