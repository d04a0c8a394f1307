package master

import (
	"hash/crc32"
	"slices"

	"tiercel/actors/runtime"
	"tiercel/cluster/archive"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// archiveWrite is one file of the archive on the ordinary way of a write: a volume of
// tier 1 is granted, every member has fsynced the record, then the log names it. The
// record itself says what it is, so a recovery finds it without the log.
type archiveWrite struct {
	item    archive.Item
	body    []byte
	number  uint64 // of the grant and of the record
	members []string
	then    func(*runtime.Context)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (a *Archivist) writeFile(ctx *runtime.Context, task *archiveTask, item archive.Item, body []byte, then func(*runtime.Context)) {
	a.number++
	item.Bytes = uint64(len(body))
	task.write = &archiveWrite{item: item, body: body, number: a.number, then: then}
	task.since = ctx.Now()
	ctx.Request(ctx.Runtime().Local(a.cfg.CoordinatorPath), &messages.Begin{
		Header: &messages.Header{Request: a.number},
		Items: []*messages.BeginItem{{
			Item: a.number, Tier: uint32(model.TierCritical), Bytes: uint64(len(body)), Tenant: model.SystemTenant, Reserved: true,
		}},
	})
}

// writing is the file under way, if the number is its own.
func (a *Archivist) writing(number uint64) *archiveWrite {
	if a.task == nil || a.task.write == nil || a.task.write.number != number {
		return nil
	}
	return a.task.write
}

func (a *Archivist) onBegun(ctx *runtime.Context, m *messages.BeginReply) {
	for _, g := range m.Grants {
		w := a.writing(g.Item)
		if w == nil {
			continue
		}
		if g.Error != nil {
			a.fail(ctx, g.Error.Message)
			continue
		}
		w.members = g.Members
		a.task.since = ctx.Now()
		ctx.RequestBulk(ctx.Runtime().Peer(model.NodeID(g.Primary), a.cfg.VolumePath(g.Volume, g.Generation)), &messages.AppendRecords{
			Header: &messages.Header{Request: w.number}, Volume: g.Volume, Generation: g.Generation,
			Items: []*messages.AppendItem{{
				Item: w.number, Tenant: model.SystemTenant, Path: w.item.Path(), Sequence: a.cfg.Generation, Part: w.item.Part, Parts: w.item.Of, Body: w.body,
			}},
		})
	}
}

// onAppended lets the log name a record that every member has on its disk; what is
// less is none, for the day it is needed is the day on which disks are missing.
func (a *Archivist) onAppended(ctx *runtime.Context, m *messages.AppendRecordsReply) {
	for _, item := range m.Items {
		w := a.writing(item.Item)
		if w == nil {
			continue
		}
		switch {
		case item.Error != nil:
			a.fail(ctx, item.Error.Message)
			continue
		case !item.Durable || slices.ContainsFunc(w.members, func(node string) bool { return !slices.Contains(item.DurableOn, node) }):
			a.fail(ctx, "not every member of the volume has it on its disk")
			continue
		}
		a.commitFile(ctx, w, item.Extent)
	}
}

func (a *Archivist) commitFile(ctx *runtime.Context, w *archiveWrite, extent *messages.Extent) {
	a.task.since = ctx.Now()
	a.commit(ctx, &messages.Command{Kind: &messages.Command_PutFile{PutFile: &messages.PutFile{
		File: &messages.FileAttributes{
			Tenant: model.SystemTenant, Path: w.item.Path(), Tier: uint32(model.TierCritical), TierAsked: uint32(model.TierCritical),
			SizeBytes: uint64(len(w.body)), Crc32C: crc32.Checksum(w.body, castagnoli),
		},
		Extents: []*messages.Extent{extent},
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		if a.writing(w.number) == nil {
			return // given up meanwhile
		}
		if err := o.Result.Err("commit"); err != nil || o.Dropped {
			a.fail(ctx, "the log did not take it: "+o.Result.GetMessage())
			return
		}
		a.items[w.item.Path()] = w.item
		a.task.write = nil
		w.then(ctx)
	})
}
