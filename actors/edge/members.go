package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// maxKnownVolumes bounds what is remembered of who holds which volume.
const maxKnownVolumes = 16384

// holders remembers the members of volumes that were named in answers.
type holders struct {
	mu   sync.Mutex
	rows map[uint64][]string
}

func (h *holders) learn(rows []*messages.VolumeRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows == nil || len(h.rows)+len(rows) > maxKnownVolumes {
		h.rows = make(map[uint64][]string, len(rows)) // begins anew; the next answers fill it
	}
	for _, r := range rows {
		nodes := make([]string, 0, len(r.Members))
		for _, m := range r.Members { // verified copies first: they are known to be whole
			if m.Verified {
				nodes = append(nodes, m.Node)
			}
		}
		for _, m := range r.Members {
			if !m.Verified {
				nodes = append(nodes, m.Node)
			}
		}
		h.rows[r.Id] = nodes
	}
}

func (h *holders) of(volume uint64) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rows[volume]
}

// patience with one member, by round: at first another one is asked soon.
var readPatience = [...]time.Duration{time.Second, 5 * time.Second}

// ReadExtent appends the verified content bytes [from, to) of an extent to dst: from
// this node's copy, or else from any member that has it. A copy that is damaged or
// behind is passed over.
//
// Errors: corrupt when every copy that could be read is damaged; unavailable, naming
// the holders, when none could be reached.
func (c *Client) ReadExtent(ctx context.Context, e *messages.Extent, from, to uint64, dst []byte) ([]byte, error) {
	members := c.holders.of(e.Volume)
	var failed []error
	if len(members) == 0 || slices.Contains(members, c.cfg.Node) {
		out, err := c.cfg.Volumes.ReadBody(model.VolumeID(e.Volume), e.Offset, e.RecordBytes, e.HeaderCrc32C, from, to, dst)
		if err == nil || model.CodeOf(err) == model.CodeInvalidArgument || len(members) <= 1 {
			return out, err
		}
		failed = append(failed, err)
	}
	for _, patience := range readPatience {
		for _, node := range members {
			if node == c.cfg.Node {
				continue
			}
			out, err := c.readFrom(ctx, node, patience, e, from, to, dst)
			if err == nil || ctx.Err() != nil {
				return out, err
			}
			failed = append(failed, fmt.Errorf("%s: %w", node, err))
		}
	}
	return dst, unreadable(e, members, failed)
}

// readFrom asks the worker of another node.
func (c *Client) readFrom(ctx context.Context, node string, patience time.Duration, e *messages.Extent, from, to uint64, dst []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := c.cfg.Asker.Ask(ctx, c.cfg.Worker(model.NodeID(node)), &messages.ReadExtent{Header: &messages.Header{}, Extent: e, From: from, To: to})
	if err != nil {
		return dst, err
	}
	r, ok := answer.(*messages.ReadExtentReply)
	switch {
	case !ok:
		return dst, model.Errorf(model.CodeInternal, "read", "%s answered with a %T", node, answer)
	case r.Error != nil:
		return dst, r.Error.Err("read")
	case uint64(len(r.Body)) != to-from:
		return dst, model.Errorf(model.CodeCorrupt, "read", "%s sent %d bytes of %d", node, len(r.Body), to-from)
	}
	return append(dst, r.Body...), nil
}

// unreadable says what is known of an extent that nobody could give.
func unreadable(e *messages.Extent, members []string, failed []error) error {
	err := errors.Join(failed...)
	damaged := 0
	for _, f := range failed {
		if model.CodeOf(f) == model.CodeCorrupt {
			damaged++
		}
	}
	if damaged > 0 && damaged >= len(members) {
		return model.Errorf(model.CodeCorrupt, "read", "every copy of a piece of the file is damaged (volume %d on %s): %w", e.Volume, strings.Join(members, ", "), err)
	}
	return model.Errorf(model.CodeUnavailable, "read", "a piece of the file is on workers that cannot be reached now (volume %d on %s): %w",
		e.Volume, strings.Join(members, ", "), err)
}
