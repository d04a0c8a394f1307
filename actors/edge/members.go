package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// maxKnownVolumes bounds what is remembered of who holds which volume.
const maxKnownVolumes = 16384

// holders remembers the members of volumes that were named in answers.
type holders struct {
	mu   sync.Mutex
	rows map[uint64]held
}

// held is what a reader must know of a volume.
type held struct {
	members []string
	lost    []*messages.LostRange // by the log's word: nobody holds it any more
}

func (h *holders) learn(rows []*messages.VolumeRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows == nil || len(h.rows)+len(rows) > maxKnownVolumes {
		h.rows = make(map[uint64]held, len(rows)) // begins anew; the next answers fill it
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
		h.rows[r.Id] = held{members: nodes, lost: r.Lost}
	}
}

func (h *holders) forget(volume uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.rows, volume)
}

func (h *holders) of(volume uint64) held {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rows[volume]
}

// patience with one member, by round: at first another one is asked soon.
var readPatience = [...]time.Duration{time.Second, 5 * time.Second}

// ReadExtent appends the verified content bytes [from, to) of an extent to dst: from
// this node's copy, or else from any member that has it. A copy that is damaged or
// behind is passed over. When nobody who is remembered has it, the volume's row is
// asked for once: other workers may hold it by now.
//
// Errors: not_found when the volume was dropped, so that the version is resolved
// again; corrupt when every copy is damaged, or lost by the log's word; unavailable,
// naming those that may have it, when none of them could be reached.
func (c *Client) ReadExtent(ctx context.Context, e *messages.Extent, from, to uint64, dst []byte) ([]byte, error) {
	known := c.holders.of(e.Volume)
	out, err := c.readHeld(ctx, known, e, from, to, dst)
	if err == nil || model.CodeOf(err) == model.CodeInvalidArgument || known.lose(e) || ctx.Err() != nil {
		return out, err
	}
	now, there, askErr := c.holdersNow(ctx, e.Volume)
	switch {
	case askErr != nil || there && slices.Equal(now.members, known.members) && !now.lose(e):
		return dst, err
	case !there:
		return dst, model.Errorf(model.CodeNotFound, "read", "volume %d was given up; what it held is elsewhere", e.Volume)
	}
	return c.readHeld(ctx, now, e, from, to, dst)
}

// lose reports whether the log says that an extent is gone.
func (h held) lose(e *messages.Extent) bool {
	return catalog.ExtentState(&messages.VolumeRow{Id: e.Volume, Lost: h.lost}, e) == catalog.ExtentLost
}

// holdersNow asks who holds a volume; there is false when it was dropped.
func (c *Client) holdersNow(ctx context.Context, volume uint64) (now held, there bool, err error) {
	r, err := ask[*messages.DescribeVolumesReply](ctx, c, &messages.DescribeVolumes{Header: &messages.Header{}, Volumes: []uint64{volume}})
	if err == nil {
		err = r.Error.Err("read")
	}
	switch {
	case err != nil:
		return held{}, false, err
	case len(r.Volumes) > 0:
		c.holders.learn(r.Volumes)
		return c.holders.of(volume), true, nil
	case r.Unchecked: // this node's catalog may be behind
		return held{}, false, model.Errorf(model.CodeNoMaster, "read", "there is no master to say who holds volume %d", volume)
	}
	c.holders.forget(volume)
	return held{}, false, nil
}

// readHeld reads from the members that are remembered of a volume.
func (c *Client) readHeld(ctx context.Context, known held, e *messages.Extent, from, to uint64, dst []byte) ([]byte, error) {
	if known.lose(e) {
		return dst, model.Errorf(model.CodeCorrupt, "read",
			"a piece of the file was lost with the only disk that held it; delete the file or store it again")
	}
	members := known.members
	failed := make(failures, len(members))
	if len(members) == 0 || slices.Contains(members, c.cfg.Node) {
		out, err := c.readHere(e, from, to, dst, len(members) > 1)
		code := model.CodeOf(err)
		if err == nil || code == model.CodeInvalidArgument || len(members) == 0 || len(members) == 1 && code != model.CodeCorrupt {
			return out, err
		}
		failed[c.cfg.Node] = err
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
			failed[node] = err
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

// failures are the newest errors of the members of a volume.
type failures map[string]error

// unreadable says what is known of an extent that nobody could give. It is corrupt only
// when every copy was seen to be damaged: whoever could not be asked may have it whole.
func unreadable(e *messages.Extent, members []string, failed failures) error {
	var damaged, behind, away []string
	var all []error
	for _, node := range members {
		err := failed[node]
		all = append(all, fmt.Errorf("%s: %w", node, err))
		var reason *model.Error
		switch {
		case model.CodeOf(err) == model.CodeCorrupt:
			damaged = append(damaged, node)
		case errors.As(err, &reason) && reason.Details[model.DetailReason] == model.ReasonBehind:
			behind = append(behind, node)
		default:
			away = append(away, node)
		}
	}
	var said *model.Error
	switch {
	case len(damaged) == len(members):
		said = model.Errorf(model.CodeCorrupt, "read", "every copy of a piece of the file is damaged (volume %d on %s); delete the file or store it again", e.Volume, strings.Join(damaged, ", "))
	case len(away) > 0:
		said = model.Errorf(model.CodeUnavailable, "read", "a piece of the file is on %s, which cannot be reached now (volume %d); it can be read again when that worker is back",
			strings.Join(away, " or "), e.Volume).With("workers", strings.Join(away, ","))
	default:
		said = model.Errorf(model.CodeUnavailable, "read", "no copy of a piece of the file is whole at the moment (volume %d): %s behind", e.Volume, strings.Join(behind, ", "))
	}
	said.Err = errors.Join(all...)
	return said
}
