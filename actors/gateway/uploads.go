package gateway

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// upload is a large body on its way: its parts are appended side by side and
// staged in the log one after the other, so what is staged is always a prefix.
type upload struct {
	id     uint64 // ours; the log's id comes with the first staged part
	from   *actor.PID
	file   *messages.FileAttributes
	heard  time.Time
	parts  uint64 // taken in
	staged uint64 // extents in the log
	bytes  uint64 // of content taken in
	logID  uint64
	begun  uint64 // sequence of the part that may have begun it in the log, unheard
	failed bool

	reserved bool // the master holds a quota reservation for it
}

func (g *Gateway) onOpenUpload(ctx *runtime.Context, m *messages.OpenUpload) {
	r := &messages.OpenUploadReply{Header: messages.ReplyHeader(m.Header)}
	file := cloneAttributes(m.File)
	switch err := checkFile(file, ""); {
	case err != nil:
		r.Error = messages.FromError(err)
	case len(g.uploads) >= maxUploads:
		r.Error = messages.FromError(model.Errorf(model.CodeOverloaded, "open upload", "%d uploads are under way; try again", len(g.uploads)))
	case !g.serving():
		// The body of a large file is not read before there is somebody to take it.
		if len(g.opens) < maxUploads {
			g.opens = append(g.opens, &queuedOpen{from: ctx.Sender(), header: m.Header, file: file, deadline: ctx.Now().Add(g.budget(m.Header))})
			return
		}
		r.Error = messages.FromError(model.Errorf(model.CodeOverloaded, "open upload", "%d uploads wait for a master; try again", len(g.opens)))
	default:
		g.open(ctx, ctx.Sender(), m.Header, file)
		return
	}
	ctx.Reply(r)
}

// queuedOpen is an upload that waits for a master.
type queuedOpen struct {
	from     *actor.PID
	header   *messages.Header
	file     *messages.FileAttributes
	deadline time.Time
}

// open makes an upload. Where its length is known, there is room for all of it under the
// tenant's limit before it is answered, and so before its body is read.
func (g *Gateway) open(ctx *runtime.Context, from *actor.PID, h *messages.Header, file *messages.FileAttributes) {
	g.nextID++
	u := &upload{id: g.nextID, from: from, file: file, heard: ctx.Now()}
	g.uploads[u.id] = u
	o := &op{
		upload: u, opening: true, lanes: []string{uploadLane(u)}, write: u.id, needs: file.SizeBytes,
		file: &messages.FileAttributes{Tenant: file.Tenant, Path: file.Path, TierAsked: file.TierAsked},
		reply: func(g *Gateway, ctx *runtime.Context, o *op, _ *messages.CommandResult, err error) {
			if u.heard = ctx.Now(); err != nil {
				u.failed = true // dropped by the sweep, with what may be reserved unheard
			}
			ctx.Send(from, &messages.OpenUploadReply{Header: messages.ReplyHeader(h), Upload: u.id, Error: messages.FromError(err)})
		},
	}
	if file.SizeBytes == 0 {
		o.reply(g, ctx, o, nil, nil)
		return
	}
	if g.enqueue(ctx, h, o) {
		g.queueBegin(ctx, o)
	}
}

// flushOpens lets in the uploads that waited, in the order they came, and refuses
// those whose time is up.
func (g *Gateway) flushOpens(ctx *runtime.Context) {
	waiting := g.opens
	g.opens = nil
	for _, o := range waiting {
		r := &messages.OpenUploadReply{Header: messages.ReplyHeader(o.header)}
		switch {
		case g.serving() && len(g.uploads) < maxUploads:
			g.open(ctx, o.from, o.header, o.file)
			continue
		case ctx.Now().After(o.deadline):
			r.Error = messages.FromError(model.Errorf(model.CodeNoMaster, "open upload", "there was no master within the time allowed; nothing was read or stored"))
		default:
			g.opens = append(g.opens, o)
			continue
		}
		ctx.Send(o.from, r)
	}
}

func (g *Gateway) onUploadPart(ctx *runtime.Context, m *messages.UploadPart) {
	o := &op{body: m.Body, content: true, part: m.Part, reply: replyPart}
	u, err := g.uploadOf(m.Upload)
	switch {
	case err != nil:
	case len(m.Body) == 0 || len(m.Body) > model.MaxExtentBytes:
		err = model.Errorf(model.CodeInvalidArgument, "upload", "a part must have 1 to %d bytes", model.MaxExtentBytes)
	case m.Part != u.parts:
		err = model.Errorf(model.CodeInvalidArgument, "upload", "part %d came where %d was expected; send parts in order", m.Part, u.parts)
	}
	if err != nil {
		o.from, o.request = ctx.Sender(), m.Header.GetRequest()
		o.upload = &upload{id: m.Upload}
		replyPart(g, ctx, o, nil, err)
		return
	}
	u.heard = ctx.Now()
	o.upload, o.lanes = u, []string{uploadLane(u)}
	o.write, o.needs = u.id, max(u.file.SizeBytes, u.bytes+uint64(len(m.Body)))
	o.file = &messages.FileAttributes{Tenant: u.file.Tenant, Path: u.file.Path, TierAsked: u.file.TierAsked}
	o.build = func(o *op) *messages.Command {
		if u.failed {
			return nil
		}
		return &messages.Command{Kind: &messages.Command_StageExtents{StageExtents: &messages.StageExtents{
			Upload: u.logID, Tenant: u.file.Tenant, First: u.staged, Extents: []*messages.Extent{o.extent},
		}}}
	}
	if g.admit(ctx, m.Header, o) {
		u.parts++
		u.bytes += uint64(len(m.Body))
	}
}

func uploadLane(u *upload) string { return fmt.Sprintf("upload %d", u.id) }

func (g *Gateway) uploadOf(id uint64) (*upload, error) {
	u, ok := g.uploads[id]
	if !ok {
		return nil, model.Errorf(model.CodeUnavailable, "upload", "upload %d is gone (dropped, idle for too long, or the gateway restarted); send the file again", id)
	}
	if u.failed {
		return nil, model.Errorf(model.CodeConflict, "upload", "an earlier part of the upload failed; begin again")
	}
	return u, nil
}

func replyPart(g *Gateway, ctx *runtime.Context, o *op, result *messages.CommandResult, err error) {
	if u := o.upload; err != nil {
		u.failed = true
		if u.logID == 0 && result == nil {
			u.begun = o.sequence
		}
	} else {
		u.logID = result.Id
		u.staged++
	}
	ctx.Send(o.from, &messages.UploadPartReply{
		Header: &messages.Header{Request: o.request}, Error: messages.FromError(givenUp(err)), Upload: o.upload.id, Part: o.part, BodyHeld: o.appends > 1,
	})
}

// onFinishUpload commits what was staged. Its place in the upload's lane makes it
// wait for every part, its place in the path's lane for earlier writes.
func (g *Gateway) onFinishUpload(ctx *runtime.Context, m *messages.FinishUpload) {
	o := &op{file: cloneAttributes(m.File), reply: replyPut}
	u, err := g.uploadOf(m.Upload)
	if err == nil {
		err = checkFinish(o.file, m.IdempotencyKey, u)
	}
	if err != nil {
		o.from, o.request = ctx.Sender(), m.Header.GetRequest()
		replyPut(g, ctx, o, nil, err)
		return
	}
	u.heard = ctx.Now()
	o.upload, o.lanes = u, []string{uploadLane(u), lane(o.file.Tenant, o.file.Path)}
	o.write = u.id
	key := m.IdempotencyKey
	o.build = func(o *op) *messages.Command {
		if u.failed {
			return nil
		}
		o.file.Tier = u.file.Tier
		return &messages.Command{IdempotencyKey: key, Kind: &messages.Command_CommitUpload{
			CommitUpload: &messages.CommitUpload{File: o.file, Upload: u.logID, Extents: u.staged},
		}}
	}
	o.reply = func(g *Gateway, ctx *runtime.Context, o *op, result *messages.CommandResult, err error) {
		if err == nil {
			delete(g.uploads, u.id)
		} else {
			u.failed = true // dropped by the sweep
		}
		replyPut(g, ctx, o, result, givenUp(err))
	}
	g.admit(ctx, m.Header, o)
}

// givenUp tells who stores a file what it means that the log knows no upload: it was given
// up with the node, which was away for long. The file itself is not asked for.
func givenUp(err error) error {
	if model.CodeOf(err) != model.CodeNotFound {
		return err
	}
	return model.Errorf(model.CodeUnavailable, "upload", "the upload was given up, because this node was away for too long; send the file again")
}

func checkFinish(f *messages.FileAttributes, idempotencyKey string, u *upload) error {
	if err := checkFile(f, idempotencyKey); err != nil {
		return err
	}
	switch {
	case f.Tenant != u.file.Tenant || f.Path != u.file.Path:
		return model.Errorf(model.CodeInvalidArgument, "upload", "the upload was begun for %s", u.file.Path)
	case u.parts == 0:
		return model.Errorf(model.CodeInvalidArgument, "upload", "the upload has no parts")
	case f.SizeBytes != u.bytes:
		return model.Errorf(model.CodeInvalidArgument, "upload", "%d bytes arrived but %d were announced", u.bytes, f.SizeBytes)
	case f.SizeBytes > model.MaxContentBytes:
		return model.Errorf(model.CodeTooLarge, "upload", "a file may have at most %d bytes", int64(model.MaxContentBytes))
	}
	return nil
}

func (g *Gateway) onDropUpload(ctx *runtime.Context, m *messages.DropUpload) {
	if u, ok := g.uploads[m.Upload]; ok {
		u.failed = true
	}
	ctx.Reply(&messages.MutationReply{Header: messages.ReplyHeader(m.Header)})
}

// sweepUploads drops what failed, was given up or has gone quiet. The log is told,
// so that the space is free again; should that be lost, the session's end does it.
func (g *Gateway) sweepUploads(ctx *runtime.Context, now time.Time) {
	if len(g.uploads) == 0 || !g.serving() {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(g.uploads)) {
		u := g.uploads[id]
		if now.Sub(u.heard) >= g.cfg.UploadIdle {
			u.failed = true
		}
		if !u.failed || len(g.lanes[uploadLane(u)]) > 0 || u.begun > g.window.low {
			continue // what began it unheard may still take effect
		}
		delete(g.uploads, id)
		g.releaseQuota(ctx, u.id, &u.reserved)
		if u.logID == 0 && u.begun == 0 {
			continue
		}
		g.admit(ctx, &messages.Header{}, &op{
			lanes: []string{uploadLane(u)},
			build: func(*op) *messages.Command {
				return &messages.Command{Kind: &messages.Command_AbortUpload{AbortUpload: &messages.AbortUpload{Upload: u.logID, Begun: u.begun}}}
			},
			reply: func(g *Gateway, _ *runtime.Context, _ *op, _ *messages.CommandResult, err error) {
				if err != nil && model.CodeOf(err) != model.CodeNotFound {
					g.uploads[u.id] = u // the next sweep tries again
				}
			},
		})
	}
}
