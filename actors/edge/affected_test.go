package edge

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime/live"
	"tiercel/messages"
)

// pages answers FindAffected by the place it is asked from.
type pages struct {
	from  map[string]*messages.FindAffectedReply
	asked []string
}

func (p *pages) Ask(_ context.Context, _ *actor.PID, msg live.AskMessage) (proto.Message, error) {
	m := msg.(*messages.FindAffected)
	p.asked = append(p.asked, m.After)
	return proto.CloneOf(p.from[m.After]), nil
}

func affectedFrom(t *testing.T, p *pages, state messages.ContentState, limit uint32) *messages.FindAffectedReply {
	t.Helper()
	c := New(Config{Asker: p, Gateway: actor.NewPID("here", "gateway"), Node: "n-edge", StepTimeout: time.Minute})
	r, err := c.Affected(t.Context(), "", state, "", limit)
	require.NoError(t, err)
	return r
}

func TestAffected_APieceOnTheNextPageMayBeTheWorstOfTheFile(t *testing.T) {
	piece := func(state messages.ContentState, volume uint64) []*messages.AffectedFile {
		return []*messages.AffectedFile{{Tenant: "t", Path: "/a", Version: 7, SizeBytes: 9, State: state, Volumes: []uint64{volume}}}
	}
	p := &pages{from: map[string]*messages.FindAffectedReply{
		"":  {Files: piece(messages.ContentState_CONTENT_STRANDED, 5), Next: "1", Within: true},
		"1": {Next: "2", Within: true},
		"2": {Files: piece(messages.ContentState_CONTENT_LOST, 3), Next: "3"},
		"3": {Unchecked: true},
	}}
	r := affectedFrom(t, p, messages.ContentState_CONTENT_LOST, 1000)
	require.Len(t, r.Files, 1)
	assert.Equal(t, []uint64{3, 5}, r.Files[0].Volumes)
	assert.Equal(t, messages.ContentState_CONTENT_LOST, r.Files[0].State)
	assert.Empty(t, r.Next)
	assert.True(t, r.Unchecked, "of one page no quorum was asked")
	assert.Empty(t, affectedFrom(t, p, messages.ContentState_CONTENT_STRANDED, 1000).Files, "it will not come back")
}

func TestAffected_AsksABoundedNumberOfTimesAndSaysWhereToGoOn(t *testing.T) {
	p := &pages{from: map[string]*messages.FindAffectedReply{"": {Next: "1"}}}
	for n := 1; n < 100; n++ {
		p.from[fmt.Sprint(n)] = &messages.FindAffectedReply{Next: fmt.Sprint(n + 1)}
	}
	r := affectedFrom(t, p, 0, 1000)
	assert.Empty(t, r.Files)
	assert.Len(t, p.asked, affectedPages)
	assert.Equal(t, fmt.Sprint(affectedPages), r.Next)

	p.asked = nil
	p.from["2"].Within, p.from[fmt.Sprint(affectedPages-1)].Within = true, true
	assert.Equal(t, fmt.Sprint(affectedPages+1), affectedFrom(t, p, 0, 1000).Next, "never in the middle of a file")
}

func TestAffected_AFullPageEndsBehindItsLastFile(t *testing.T) {
	p := &pages{from: map[string]*messages.FindAffectedReply{"": {Next: "1"}, "1": {Next: "2"}}}
	for n := range 3 {
		p.from[""].Files = append(p.from[""].Files, &messages.AffectedFile{Tenant: "t", Path: fmt.Sprint("/", n), State: messages.ContentState_CONTENT_LOST})
	}
	r := affectedFrom(t, p, 0, 3)
	assert.Len(t, r.Files, 3)
	assert.Equal(t, "1", r.Next)
	assert.Len(t, p.asked, 1)
	r = affectedFrom(t, p, 0, 2)
	assert.Len(t, r.Files, 2)
	assert.Equal(t, "f/t\x00/1\x00\x0000000000", r.Next, "the third is not left out")
}
