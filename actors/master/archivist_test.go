package master

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/cluster/archive"
	"tiercel/messages"
)

// The lag is what a person looks at before voters are given up. That of a new master counted
// from its own start, whatever the master before it had left.
func TestArchivist_CountsTheLagFromWhatAnEarlierMasterHasWritten(t *testing.T) {
	r := newRig(t, 0)
	r.cfg.ArchiveEvery = time.Minute
	const behind = 40 * time.Second
	written := r.world.Now().Add(-behind).UnixMilli()
	item := archive.Item{Kind: archive.Checkpoint, Generation: 1, Index: 5, Of: 1}
	r.spawn("a", "catalog", func(ctx *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Lookup); ok && len(m.Items) == 2 {
			ctx.Reply(&messages.LookupReply{Header: messages.ReplyHeader(m.Header), Answers: []*messages.LookupAnswer{
				{Kind: &messages.LookupAnswer_Status{Status: r.status}},
				{Kind: &messages.LookupAnswer_List{List: &messages.ListReply{Files: []*messages.ListedFile{
					{Path: item.Path(), Row: &messages.FileRow{Version: 5, SizeBytes: 10, ModifiedUnixMs: written}},
				}}}},
			}})
		}
	})
	_, err := r.world.Node("a").Runtime().SpawnRoot("archivist", func() runtime.Actor { return newArchivist(r.cfg) })
	require.NoError(t, err)
	r.world.Run(2 * time.Second) // its first look; the log says nothing, so nothing is written

	var told *messages.DescribeArchiveReply
	r.spawn("a", "asker", func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			ctx.Request(ctx.Runtime().Local("archivist"), &messages.DescribeArchive{Header: &messages.Header{}})
		case *messages.DescribeArchiveReply:
			told = m
		}
	})
	r.world.Run(time.Second)
	require.NotNil(t, told)
	assert.Equal(t, item.Index, told.CheckpointIndex)
	assert.GreaterOrEqual(t, time.Duration(told.LagMs)*time.Millisecond, behind)
}
