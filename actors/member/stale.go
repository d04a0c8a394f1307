package member

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/store"
)

// notedStale is that node.yaml says so.
type notedStale struct{ reason, err error }

// noteStale makes it durable that this directory was refused as a copy or an old backup,
// and ends. Each start counts, so without that a supervisor that starts it again and again
// would soon make it look newer than the original.
func (m *Member) noteStale(ctx *runtime.Context, times uint64, reason error) {
	update := m.cfg.UpdateNode
	ctx.Offload(func() any {
		return &notedStale{reason, update(func(n *store.NodeFile) { n.StaleAt = max(n.StaleAt, times) })}
	})
}

func (m *Member) onNotedStale(ctx *runtime.Context, n *notedStale) {
	if n.err != nil {
		ctx.Log().Error("it could not be noted that this directory is a copy or an old backup", "error", n.err)
	}
	ctx.Runtime().Halt(n.reason)
}

// stale is why a directory that was refused once does not start.
func stale(id *store.NodeFile) error {
	return model.Errorf(model.CodeConflict, "join", "this directory was refused as a copy or an old backup: %s had been started %d times elsewhere. Start that one; "+
		"if its directory is gone for good, `tiercel recover --worker --discard-log` makes a worker of this one, which keeps its volumes; or start with an empty directory", id.NodeID, id.StaleAt)
}
