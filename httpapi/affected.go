package httpapi

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// losses is what is asked about content that cannot be read.
type losses interface {
	// Affected returns some of the files with such content, behind a place: of one state
	// unless that is CONTENT_STATE_UNSPECIFIED, of one tenant unless that is empty. There
	// may be more, from Next on, though it names none.
	Affected(ctx context.Context, tenant string, state messages.ContentState, after string, limit uint32) (*messages.FindAffectedReply, error)
}

// contentStates are the words for how content stands that cannot be read.
var contentStates = map[string]messages.ContentState{
	"lost": messages.ContentState_CONTENT_LOST, "damaged": messages.ContentState_CONTENT_DAMAGED, "stranded": messages.ContentState_CONTENT_STRANDED,
}

func contentStateName(s messages.ContentState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "CONTENT_"))
}

// affectedAnswer is a file with content that cannot be read.
type affectedAnswer struct {
	Tenant    string   `json:"tenant"`
	Path      string   `json:"path"`
	Version   uint64   `json:"version"`
	SizeBytes uint64   `json:"size_bytes"`
	State     string   `json:"state"`      // of its worst piece
	VolumeIDs []uint64 `json:"volume_ids"` // that hold such pieces
}

// affectedQuery is what GET /cluster/replication/files asks for.
type affectedQuery struct {
	tenant, state, after string
	limit                uint32
}

// listAffected answers GET /cluster/replication/files: the files that the volumes which
// are lost, damaged or stranded concern, by tenant and path, a page at a time.
func (c *call) listAffected() error {
	req, err := c.readAffected()
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.Affected(ctx, req.tenant, contentStates[req.state], req.after, req.limit)
	if err != nil {
		return err
	}
	c.sayConsistency(reply.Unchecked)
	out := struct {
		Files      []affectedAnswer `json:"files"`
		NextCursor string           `json:"next_cursor"`
	}{Files: []affectedAnswer{}}
	for _, f := range reply.Files {
		out.Files = append(out.Files, affectedAnswer{
			Tenant: f.Tenant, Path: f.Path, Version: f.Version, SizeBytes: f.SizeBytes, State: contentStateName(f.State), VolumeIDs: f.Volumes,
		})
	}
	if reply.Next != "" {
		out.NextCursor = encodeCursor(req.tenant, "affected", req.state, reply.Next)
	}
	return c.answerValue(out)
}

func (c *call) readAffected() (req affectedQuery, err error) {
	q, err := strictQuery(c.query, "state", "tenant", "limit", "cursor")
	if err != nil {
		return req, err
	}
	req = affectedQuery{tenant: q["tenant"], state: q["state"], limit: model.MaxListLimit}
	if req.tenant != "" {
		if err := model.CheckTenant(req.tenant); err != nil {
			return req, err
		}
	}
	if known := slices.Sorted(maps.Keys(contentStates)); req.state != "" && !slices.Contains(known, req.state) {
		return req, badQuery("the state %q is not known%s", clip(req.state), suggest(req.state, known))
	}
	if text, given := q["limit"]; given {
		limit, err := strconv.ParseUint(text, 10, 32)
		if err != nil || limit < 1 || limit > model.MaxListLimit {
			return req, badQuery("the limit %q must be a number from 1 to %d", clip(text), model.MaxListLimit)
		}
		req.limit = uint32(limit)
	}
	if cursor := q["cursor"]; cursor != "" {
		req.after, err = decodeCursor(cursor, req.tenant, "affected", req.state)
	}
	return req, err
}
