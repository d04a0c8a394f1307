package simtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// racer writes files of its tenant, one after the other, each through any gateway, and
// remembers what it was told.
type racer struct {
	race    *race
	number  int
	tenant  string
	random  *rand.Rand
	left    int
	request uint64
	path    string
	size    int
	upload  uint64
	sent    int
}

// race is what all racers were told.
type race struct {
	story    *story
	working  int
	stored   map[string]int64 // by tenant and path
	refused  map[string]*messages.Error
	unknown  map[string]bool
	reserved int // refusals that came before the bytes
}

const racePartBytes = 150

var raceTenants = [...]string{"red", "blue"}

func (r *racer) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started, nextDue:
		r.next(ctx)
	case timeout:
		if m.request == r.request {
			r.told(ctx, &messages.Error{Code: string(model.CodeOutcomeUnknown)})
		}
	case *messages.PutReply:
		if m.Header.Request == r.request {
			r.told(ctx, m.Error)
		}
	case *messages.OpenUploadReply:
		r.step(ctx, m.Header, m.Error, func() { r.upload = m.Upload })
	case *messages.UploadPartReply:
		r.step(ctx, m.Header, m.Error, func() { r.sent += racePartBytes })
	}
}

func (r *racer) next(ctx *runtime.Context) {
	if r.left == 0 {
		r.race.working--
		return
	}
	r.left--
	r.path, r.size, r.upload, r.sent = fmt.Sprintf("/models/%d/%d", r.number, r.left), 50+r.random.IntN(400), 0, 0
	r.send(ctx)
}

// send puts the next message of a file on its way: large ones go in parts.
func (r *racer) send(ctx *runtime.Context) {
	r.request++
	h := &messages.Header{Request: r.request, BudgetMs: clientBudget.Milliseconds()}
	file := &messages.FileAttributes{Tenant: r.tenant, Path: r.path, SizeBytes: uint64(r.size)}
	to := r.race.story.hosts[(r.number+r.left)%len(r.race.story.hosts)] // one gateway for one file
	var msg proto.Message
	switch {
	case r.size <= racePartBytes:
		msg = &messages.Put{Header: h, File: file, Body: blob(r.path, r.size)}
	case r.upload == 0:
		if r.number%2 == 0 {
			file.SizeBytes = 0 // it does not say how long it gets
		}
		msg = &messages.OpenUpload{Header: h, File: file}
	case r.sent < r.size:
		msg = &messages.UploadPart{Header: h, Upload: r.upload, Part: uint64(r.sent / racePartBytes), Body: blob(r.path, min(racePartBytes, r.size-r.sent))}
	default:
		msg = &messages.FinishUpload{Header: h, Upload: r.upload, File: file}
	}
	ctx.Request(ctx.Runtime().Peer(to.name, gatewayPath), msg)
	ctx.After(clientTimeout, timeout{request: r.request})
}

func (r *racer) step(ctx *runtime.Context, h *messages.Header, refused *messages.Error, then func()) {
	switch {
	case h.Request != r.request:
	case refused.GetCode() == string(model.CodeOutcomeUnknown):
		r.told(ctx, &messages.Error{Code: string(model.CodeUnavailable)}) // a part makes no file
	case refused != nil:
		r.told(ctx, refused)
	default:
		then()
		r.send(ctx)
	}
}

// told notes the end of a file.
func (r *racer) told(ctx *runtime.Context, refused *messages.Error) {
	r.request++ // answers that come late are passed over
	key := r.tenant + r.path
	switch model.Code(refused.GetCode()) {
	case "":
		r.race.stored[key] = int64(r.size)
	case model.CodeOutcomeUnknown:
		r.race.unknown[key] = true
	default:
		r.race.refused[key] = refused
		if _, early := refused.Details["reserved_bytes"]; early {
			r.race.reserved++
		}
	}
	ctx.After(time.Duration(r.random.Int64N(int64(20*time.Millisecond))), nextDue{})
}

// newRace has 32 racers of each of two tenants run to limits that half of what they
// write would fill.
func newRace(p *probe, seed uint64, files int) *race {
	r := &race{story: p.story, stored: map[string]int64{}, refused: map[string]*messages.Error{}, unknown: map[string]bool{}}
	for i, tenant := range raceTenants {
		set := ask[*messages.ChangeQuotaReply](p, gatewayPath, &messages.ChangeQuota{Header: p.header(), Tenant: tenant, LimitBytes: [...]int64{6000, 15_000}[i]})
		require.Nil(p.t, set.Error)
	}
	for n := range 64 {
		rt := p.story.world.Client(fmt.Sprintf("racer-%d", n)).Runtime()
		r.working++
		_, err := rt.SpawnRoot("racer", func() runtime.Actor {
			return &racer{race: r, number: n, tenant: raceTenants[n%2], random: rand.New(rand.NewPCG(seed, uint64(n))), left: files}
		})
		require.NoError(p.t, err)
	}
	return r
}

// TestStory_WritersRaceToTheirLimitsThroughFailovers: the checkers look at every catalog
// state on the way (check_quota.go).
func TestStory_WritersRaceToTheirLimitsThroughFailovers(t *testing.T) {
	for seed := range uint64(6) {
		p := newClusterProbe(t, 360+seed, 3)
		r := newRace(p, seed, 4)
		failovers := int(seed % 3)
		for n := range failovers {
			p.story.world.Run(time.Duration(20+40*n) * time.Millisecond)
			p.story.masterOrAny().node.Crash(seed%2 == 0)
			p.story.world.Run(3 * time.Second)
		}
		require.True(t, p.story.world.RunUntil(func() bool { return r.working == 0 && p.story.serving() }, 2*time.Minute), "seed %d: %s", seed, p.story.state())
		p.story.world.Run(6 * time.Second) // uploads that were given up are dropped
		r.check(p, seed, failovers)
		require.Empty(t, p.story.bad, "seed %d", seed)
	}
}

// check compares what the racers were told with what there is.
func (r *race) check(p *probe, seed uint64, failovers int) {
	c := p.story.catalogAt(0)
	require.NotEmpty(p.t, r.stored, "seed %d", seed)
	quotas := 0
	for key, refused := range r.refused {
		if refused.Code == string(model.CodeQuotaExceeded) {
			quotas++
			assert.NotEmpty(p.t, refused.Details["limit_bytes"])
		}
		tenant, path := key[:indexOf(key)], key[indexOf(key):]
		_, there := c.Stat(tenant, path)
		assert.False(p.t, there, "seed %d: %s was refused and is there", seed, key)
	}
	assert.NotZero(p.t, quotas, "seed %d: the limits were never met", seed)
	if failovers == 0 {
		assert.Equal(p.t, quotas, r.reserved, "seed %d: every refusal came before the bytes: what was let in found its room", seed)
		assert.Empty(p.t, r.unknown, "seed %d", seed)
	}
	for _, tenant := range raceTenants {
		row, _ := c.Tenant(tenant)
		sum := int64(0)
		for key, size := range r.stored {
			if key[:indexOf(key)] == tenant {
				sum += size
			}
		}
		if failovers == 0 {
			assert.Equal(p.t, sum, row.UsedBytes, "seed %d: %s", seed, tenant)
			assert.Greater(p.t, row.UsedBytes, row.LimitBytes-450, "seed %d: %s has no room for the smallest that was refused", seed, tenant)
		}
		assert.LessOrEqual(p.t, row.UsedBytes, row.LimitBytes)
		assert.GreaterOrEqual(p.t, row.UsedBytes, sum, "seed %d: what was stored is counted", seed)
	}
	assert.Empty(p.t, c.StagedByLimited(), "seed %d: refused uploads leave nothing", seed)
	a := &auditor{story: p.story}
	_, err := p.story.world.Client("auditor").Runtime().SpawnRoot("auditor", func() runtime.Actor { return a })
	require.NoError(p.t, err)
	require.True(p.t, p.story.world.RunUntil(func() bool { return a.released && a.verified }, 30*time.Second), "seed %d: %d bytes are still reserved", seed, a.reserved)
}

// indexOf is where the path begins in a key.
func indexOf(key string) int { return strings.IndexByte(key, '/') }
