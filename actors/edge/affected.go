package edge

import (
	"context"

	"tiercel/cluster/affected"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// Limits of one Affected call: what is left goes on from Next.
const (
	affectedRows  = 2048
	affectedPages = 16
)

// Affected returns some of the files that have content nobody can read, those of one
// state unless that is CONTENT_STATE_UNSPECIFIED, of one tenant unless that is empty. It
// looks at a bounded number of rows, so there may be more though it names none.
func (c *Client) Affected(ctx context.Context, tenant string, state messages.ContentState, after string, limit uint32) (*messages.FindAffectedReply, error) {
	if limit == 0 || limit > model.MaxListLimit {
		limit = model.MaxListLimit
	}
	g := affected.Gathering{Limit: int(limit), State: state}
	unchecked := false
	for pages, more := 0, true; more; {
		r, err := consult[*messages.FindAffectedReply](ctx, c, "list affected files",
			&messages.FindAffected{Header: &messages.Header{}, Tenant: tenant, After: after, Rows: affectedRows, Limit: limit})
		if err != nil {
			return nil, err
		}
		unchecked = unchecked || r.Unchecked
		pages, after = pages+1, r.Next
		room := false
		more, room = g.Add(affected.Page{Files: r.Files, Next: r.Next, Within: r.Within})
		more = more || room && pages < affectedPages
	}
	return &messages.FindAffectedReply{Files: g.Files, Next: g.Next, Unchecked: unchecked}, nil
}
