package gateway

import (
	"slices"

	"tiercel/actors/runtime"
	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// onPut stores a body of at most one extent: one append, one commit.
func (g *Gateway) onPut(ctx *runtime.Context, m *messages.Put) {
	o, err := newPut(m)
	if o.reply = replyPut; err != nil {
		o.from, o.request = ctx.Sender(), m.Header.GetRequest()
		replyPut(g, ctx, o, nil, err)
		return
	}
	g.admit(ctx, m.Header, o)
}

// newPut makes the write of a Put; its reply is the caller's.
func newPut(m *messages.Put) (*op, error) {
	o := &op{file: cloneAttributes(m.GetFile()), body: m.GetBody(), content: true}
	o.lanes = []string{lane(o.file.GetTenant(), o.file.GetPath())}
	key := m.GetIdempotencyKey()
	o.build = func(o *op) *messages.Command {
		return &messages.Command{IdempotencyKey: key, Kind: &messages.Command_PutFile{
			PutFile: &messages.PutFile{File: o.file, Extents: []*messages.Extent{o.extent}},
		}}
	}
	return o, checkPut(o.file, key, m.GetBody())
}

// cloneAttributes makes the gateway's own copy: the tier is settled in it, and a
// message is never changed after sending.
func cloneAttributes(f *messages.FileAttributes) *messages.FileAttributes {
	return &messages.FileAttributes{
		Tenant: f.GetTenant(), Path: f.GetPath(), TierAsked: f.GetTierAsked(), ContentType: f.GetContentType(), Meta: f.GetMeta(),
		SizeBytes: f.GetSizeBytes(), Crc32C: f.GetCrc32C(), Conditions: f.GetConditions(), ModifiedUnixMs: f.GetModifiedUnixMs(),
	}
}

func checkPut(f *messages.FileAttributes, idempotencyKey string, body []byte) error {
	if err := checkFile(f, idempotencyKey); err != nil {
		return err
	}
	if len(body) > model.MaxExtentBytes {
		return model.Errorf(model.CodeTooLarge, "put", "a body of %d bytes must be sent as an upload in parts of at most %d", len(body), model.MaxExtentBytes)
	}
	if f.SizeBytes != uint64(len(body)) {
		return model.Errorf(model.CodeInvalidArgument, "put", "the body has %d bytes but %d were announced", len(body), f.SizeBytes)
	}
	return nil
}

func checkFile(f *messages.FileAttributes, idempotencyKey string) error {
	if err := model.CheckTenant(f.Tenant); err != nil {
		return err
	}
	if err := model.CheckPath(f.Path); err != nil {
		return err
	}
	if t := model.Tier(f.TierAsked); f.TierAsked != 0 && (f.TierAsked > 255 || !t.Valid()) {
		return model.Errorf(model.CodeInvalidArgument, "put", "tier %d does not exist; there are 1, 2 and 3", f.TierAsked)
	}
	if len(idempotencyKey) > model.MaxIdempotencyKeyBytes {
		return model.Errorf(model.CodeInvalidArgument, "put", "the Idempotency-Key has %d bytes; at most %d are allowed", len(idempotencyKey), model.MaxIdempotencyKeyBytes)
	}
	meta := 0
	for k, v := range f.Meta {
		meta += len(k) + len(v)
	}
	if len(f.Meta) > model.MaxMetaEntries || meta > model.MaxMetaBytes || len(f.ContentType) > model.MaxContentTypeBytes {
		return model.Errorf(model.CodeInvalidArgument, "put", "the metadata is too large: at most %d entries and %d bytes, and %d bytes of Content-Type",
			model.MaxMetaEntries, model.MaxMetaBytes, model.MaxContentTypeBytes)
	}
	return nil
}

func lane(tenant, path string) string { return tenant + "\x00" + path }

func replyPut(g *Gateway, ctx *runtime.Context, o *op, result *messages.CommandResult, err error) {
	ctx.Send(o.from, g.outcomeOfPut(o, result, err))
}

func (g *Gateway) outcomeOfPut(o *op, result *messages.CommandResult, err error) *messages.PutReply {
	r := &messages.PutReply{Header: &messages.Header{Request: o.request}, Error: messages.FromError(err), Result: result, BodyHeld: o.appends > 1 || err != nil && o.appends > 0}
	if err == nil {
		r.Row = &messages.FileRow{
			Version: result.Version, SizeBytes: o.file.SizeBytes, Crc32C: o.file.Crc32C, Tier: o.file.Tier, TierAsked: o.file.TierAsked,
			ModifiedUnixMs: result.ModifiedUnixMs, ContentType: o.file.ContentType, Meta: o.file.Meta,
		}
		if o.extent != nil {
			v := &messages.VolumeRow{Id: o.volume, Tier: o.file.Tier, Generation: o.extent.Generation, State: messages.VolumeState_OPEN}
			if !license.Of(g.master.Cluster.GetLicense()).Replicates(model.Tier(o.file.Tier)) && len(o.members) == 1 {
				v.LicensedCopies = 1 // as its row has it
			}
			for _, node := range o.members {
				v.Members = append(v.Members, &messages.VolumeMember{Node: node, Verified: slices.Contains(o.durableOn, node)})
			}
			r.InSync = o.inSync
			r.Row.Extents = []*messages.Extent{o.extent}
			r.Volumes = []*messages.VolumeRow{v}
		}
		r.Earlier = result.Version != o.index
		r.EpochGeneration, r.EpochTerm = g.master.EpochGeneration, g.master.EpochTerm
		cluster := g.master.Cluster
		r.ReplicationFactor = cluster.GetReplicationFactor()
		r.CopiesWanted = uint32(tier.Wanted(cluster.GetTiers(), model.Tier(r.Row.Tier), int(r.ReplicationFactor)))
	}
	return r
}

func (g *Gateway) onDelete(ctx *runtime.Context, m *messages.Delete) {
	o := &op{reply: replyMutation, lanes: []string{lane(m.Tenant, m.Path)}}
	o.build = func(*op) *messages.Command {
		return &messages.Command{Kind: &messages.Command_DeleteFile{
			DeleteFile: &messages.DeleteFile{Tenant: m.Tenant, Path: m.Path, Conditions: m.Conditions},
		}}
	}
	g.admitChecked(ctx, m.Header, o, model.CheckTenant(m.Tenant), model.CheckPath(m.Path))
}

func (g *Gateway) onMove(ctx *runtime.Context, m *messages.Move) {
	o := &op{reply: replyMutation, lanes: []string{lane(m.Tenant, m.From)}}
	if m.From != m.To {
		o.lanes = append(o.lanes, lane(m.Tenant, m.To))
	}
	o.build = func(*op) *messages.Command {
		return &messages.Command{Kind: &messages.Command_MoveFile{
			MoveFile: &messages.MoveFile{Tenant: m.Tenant, From: m.From, To: m.To, Overwrite: m.Overwrite},
		}}
	}
	g.admitChecked(ctx, m.Header, o, model.CheckTenant(m.Tenant), model.CheckPath(m.From), model.CheckPath(m.To))
}

func (g *Gateway) admitChecked(ctx *runtime.Context, h *messages.Header, o *op, problems ...error) {
	for _, err := range problems {
		if err != nil {
			o.from, o.request = ctx.Sender(), h.GetRequest()
			o.reply(g, ctx, o, nil, err)
			return
		}
	}
	g.admit(ctx, h, o)
}

func replyMutation(_ *Gateway, ctx *runtime.Context, o *op, result *messages.CommandResult, err error) {
	ctx.Send(o.from, &messages.MutationReply{Header: &messages.Header{Request: o.request}, Error: messages.FromError(err), Result: result})
}
