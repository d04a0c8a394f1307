package edge

import (
	"context"
	"io"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// Extents returns every extent of the version that row describes; not_found when
// a newer one has taken its place meanwhile.
func (c *Client) Extents(ctx context.Context, tenant, path string, row *messages.FileRow) ([]*messages.Extent, error) {
	if row.Manifest == 0 {
		return row.Extents, nil
	}
	extents := make([]*messages.Extent, 0, min(row.ManifestExtents, 1<<20))
	for uint64(len(extents)) < row.ManifestExtents {
		r, err := ask[*messages.ReadManifestReply](ctx, c, &messages.ReadManifest{
			Header: &messages.Header{}, Tenant: tenant, Path: path, Version: row.Version, First: uint64(len(extents)),
		})
		if err == nil {
			err = r.Error.Err("read manifest")
		}
		if err != nil {
			return nil, err
		}
		if len(r.Extents) == 0 {
			return nil, model.Errorf(model.CodeCorrupt, "read manifest", "the manifest of %s ends after %d of %d extents", path, len(extents), row.ManifestExtents)
		}
		c.holders.learn(r.Volumes)
		if err := lost(path, r.Extents, r.Volumes); err != nil {
			return nil, err
		}
		extents = append(extents, r.Extents...)
	}
	return extents, nil
}

// lost refuses a file of which a piece is known to be gone (DESIGN "lost").
func lost(path string, extents []*messages.Extent, volumes []*messages.VolumeRow) error {
	for _, v := range volumes {
		if len(v.Lost) == 0 {
			continue
		}
		for _, e := range extents {
			if e.Volume == v.Id && catalog.ExtentState(v, e) != catalog.ExtentOK {
				return model.Errorf(model.CodeCorrupt, "read",
					"a piece of %s was lost with the only disk that held it; delete the file or store it again", path)
			}
		}
	}
	return nil
}

// Copy stores the content of one file under another name, in the tier the new
// path asks for unless the source's was asked for explicitly.
func (c *Client) Copy(ctx context.Context, tenant, from, to string, overwrite bool) (*messages.PutReply, error) {
	if err := model.CheckPath(to); err != nil {
		return nil, err
	}
	src, err := c.Stat(ctx, tenant, from, false)
	if err != nil {
		return nil, err
	}
	if !overwrite { // said early, for a large file; judged again when it is committed
		if _, err := c.Stat(ctx, tenant, to, false); err == nil {
			return nil, targetExists(to)
		}
	}
	tier := model.Tier(src.Row.TierAsked)
	if c.mayAskNow(ctx, tier) != nil {
		tier = model.TierUnset // it is not this request that asks
	}
	req := rewrite(tenant, to, src.Row, tier)
	req.MustNotExist = !overwrite
	reply, err := c.putFrom(ctx, tenant, from, src.Row, req, 0)
	if model.CodeOf(err) == model.CodePreconditionFailed {
		return nil, targetExists(to)
	}
	return reply, err
}

func targetExists(path string) error {
	return model.Errorf(model.CodeConflict, "copy", "%s exists; say overwrite to replace it", path)
}

func rewrite(tenant, path string, row *messages.FileRow, tier model.Tier) *model.PutRequest {
	sum := row.Crc32C
	return &model.PutRequest{
		Tenant: tenant, Path: path, Tier: tier, ContentType: row.ContentType, Meta: row.Meta,
		Size: int64(row.SizeBytes), Checksum: &sum,
	}
}

// putFrom stores req with the content of an existing version.
func (c *Client) putFrom(ctx context.Context, tenant, from string, row *messages.FileRow, req *model.PutRequest, modified int64) (*messages.PutReply, error) {
	extents, err := c.Extents(ctx, tenant, from, row)
	if err != nil {
		return nil, err
	}
	req.Body = &extentReader{ctx: ctx, client: c, tenant: tenant, path: from, version: row.Version, extents: extents}
	return c.put(ctx, req, modified)
}

// extentReader streams the verified content of one version, wherever compaction
// moves its extents meanwhile.
type extentReader struct {
	ctx          context.Context
	client       *Client
	tenant, path string
	version      uint64
	extents      []*messages.Extent // all
	next         int                // the one being read
	at           uint64             // within that
}

func (r *extentReader) Read(p []byte) (int, error) {
	for r.next < len(r.extents) && r.at == r.extents[r.next].BodyBytes {
		r.next, r.at = r.next+1, 0
	}
	if r.next == len(r.extents) {
		return 0, io.EOF
	}
	to := min(r.extents[r.next].BodyBytes, r.at+uint64(len(p)))
	out, err := r.client.ReadExtent(r.ctx, r.extents[r.next], r.at, to, p[:0])
	if model.CodeOf(err) == model.CodeNotFound {
		// The volume was dropped: the same content is elsewhere, piece for piece.
		if err = r.resolve(); err == nil {
			out, err = r.client.ReadExtent(r.ctx, r.extents[r.next], r.at, to, p[:0])
		}
		if model.CodeOf(err) == model.CodeNotFound {
			err = model.Errorf(model.CodeUnavailable, "copy", "the content of %s is being moved; try again: %w", r.path, err)
		}
	}
	if err != nil {
		return 0, err
	}
	r.at = to
	return len(out), nil
}

// resolve finds where the extents of the version are now.
func (r *extentReader) resolve() error {
	s, err := r.client.Stat(r.ctx, r.tenant, r.path, false)
	if err != nil {
		return err
	}
	if s.Row.Version != r.version {
		return model.Errorf(model.CodeConflict, "copy", "%s was replaced while it was read; try again", r.path)
	}
	extents, err := r.client.Extents(r.ctx, r.tenant, r.path, s.Row)
	switch {
	case err != nil:
		return err
	case len(extents) != len(r.extents):
		return model.Errorf(model.CodeInternal, "copy", "version %d of %s has %d extents in place of %d", r.version, r.path, len(extents), len(r.extents))
	}
	r.extents = extents
	return nil
}

// Limits of one Retier call: what is left goes on from Next.
const retierFilesPerCall = 10_000

// Retier stores the content of one path, or of all under a prefix, in another
// tier. A file that changes meanwhile stays as its writer left it.
func (c *Client) Retier(ctx context.Context, req *model.RetierRequest) (*model.RetierResult, error) {
	out := &model.RetierResult{}
	if !req.Tier.Valid() {
		return nil, model.Errorf(model.CodeInvalidArgument, "retier", "tier %d does not exist; there are 1, 2 and 3", req.Tier)
	}
	if err := c.mayAsk(ctx, req.Tier); err != nil {
		return nil, err
	}
	if req.Path != "" {
		s, err := c.Stat(ctx, req.Tenant, req.Path, false)
		if err != nil {
			return nil, err
		}
		return out, c.retierOne(ctx, req, req.Path, s.Row, out)
	}
	after := req.After
	for seen := 0; seen < retierFilesPerCall; {
		page, err := c.List(ctx, &messages.List{Tenant: req.Tenant, Prefix: req.Prefix, After: after, Limit: model.MaxListLimit})
		if err != nil {
			return nil, err
		}
		for _, f := range page.Files {
			if ctx.Err() != nil && out.Next != "" {
				return out, nil // the time is over: what is done is told, and where to go on
			}
			if err := c.retierOne(ctx, req, f.Path, f.Row, out); err != nil {
				out.Failed = append(out.Failed, model.RetierFailure{Path: f.Path, Err: err})
			}
			seen++
			out.Next = f.Path
		}
		if page.Next == "" {
			out.Next = ""
			return out, nil
		}
		after = page.Next
	}
	return out, nil
}

func (c *Client) retierOne(ctx context.Context, req *model.RetierRequest, path string, row *messages.FileRow, out *model.RetierResult) error {
	if model.Tier(row.Tier) == req.Tier {
		out.Unchanged++
		return nil
	}
	put := rewrite(req.Tenant, path, row, req.Tier)
	put.IfMatch, put.Versions = true, []uint64{row.Version}
	if _, err := c.putFrom(ctx, req.Tenant, path, row, put, row.ModifiedUnixMs); err != nil {
		return err
	}
	out.Moved++
	out.Bytes += int64(row.SizeBytes)
	return nil
}
