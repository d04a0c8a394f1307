package simtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

// repeat sends a command to the master as a gateway that was paused would: under a
// sequence that was used before.
func repeat(p *probe, session, sequence, lowWater uint64, kind *messages.PutFile) *messages.CommandResult {
	p.t.Helper()
	reply := ask[*messages.CommitReply](p, "node/master/coordinator", &messages.Commit{Header: p.header(), Commands: []*messages.Command{{
		Proposal: 1000 + p.next, Session: session, Sequence: sequence, LowWater: lowWater,
		Kind: &messages.Command_PutFile{PutFile: kind},
	}}})
	require.Len(p.t, reply.Outcomes, 1)
	require.NotNil(p.t, reply.Outcomes[0].Result)
	return reply.Outcomes[0].Result
}

// openSession opens a session of a gateway on another node.
func openSession(p *probe) uint64 {
	reply := ask[*messages.CommitReply](p, "node/master/coordinator", &messages.Commit{Header: p.header(), Commands: []*messages.Command{{
		Proposal: 7, Kind: &messages.Command_OpenSession{OpenSession: &messages.OpenSession{Node: "n-other", Incarnation: 1}},
	}}})
	return reply.Outcomes[0].Result.Id
}

// extentsOf stores value elsewhere and returns the command that names its bytes.
func extentsOf(p *probe, path, value string, cond *messages.Conditions) *messages.PutFile {
	r := p.put("/models/source", value, nil)
	require.Nil(p.t, r.Error)
	return &messages.PutFile{Extents: r.Row.Extents, File: &messages.FileAttributes{
		Tenant: clientTenant, Path: path, Tier: r.Row.Tier, SizeBytes: r.Row.SizeBytes, Crc32C: r.Row.Crc32C, Conditions: cond,
	}}
}

func TestStory_ARetryAfterItsWindowBringsNoOldVersionBack(t *testing.T) {
	p := newProbe(t, 1)
	session := openSession(p)
	old := extentsOf(p, "/models/a", "old", nil)
	require.Empty(t, repeat(p, session, 1, 0, old).Code)
	// The window moves on: sequence 1 is answered for good.
	require.Empty(t, repeat(p, session, 2, 1, extentsOf(p, "/models/other", "x", nil)).Code)
	require.Nil(t, p.put("/models/a", "new", nil).Error)

	assert.Equal(t, "outcome_unknown", repeat(p, session, 1, 0, old).Code)
	assert.Equal(t, "new", p.value("/models/a"))
}

func TestStory_ARetryInsideItsWindowIsAnsweredAndNotAppliedAgain(t *testing.T) {
	p := newProbe(t, 2)
	session := openSession(p)
	cmd := extentsOf(p, "/models/a", "first", nil)
	first := repeat(p, session, 1, 0, cmd)
	require.Nil(t, p.put("/models/a", "second", nil).Error)

	again := repeat(p, session, 1, 0, cmd)
	assert.Equal(t, first.Version, again.Version)
	assert.Equal(t, "second", p.value("/models/a"))
}

func TestStory_ARefusedConditionalWriteStaysRefused(t *testing.T) {
	p := newProbe(t, 3)
	session := openSession(p)
	require.Nil(t, p.put("/models/a", "there", nil).Error)
	cmd := extentsOf(p, "/models/a", "only if absent", &messages.Conditions{MustNotExist: true})
	require.Equal(t, "precondition_failed", repeat(p, session, 1, 0, cmd).Code)
	deleted := ask[*messages.MutationReply](p, gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: "/models/a"})
	require.Nil(t, deleted.Error)

	assert.Equal(t, "precondition_failed", repeat(p, session, 1, 0, cmd).Code, "its answer was given; the same sequence gets it again")
	assert.Empty(t, p.value("/models/a"))
}

func TestStory_ACommitThatNamesAnOldGenerationIsRefusedAfterARestart(t *testing.T) {
	p := newProbe(t, 4)
	late := extentsOf(p, "/models/late", "late", nil)
	// More bytes reach the volume and are never committed: their place is taken
	// again after a restart unless the generation says otherwise.
	p.host.node.Crash(true)
	p.host.node.Restart()
	p.waitReady()
	session := openSession(p)
	result := repeat(p, session, 1, 0, late)
	assert.Equal(t, "volume_sealed", result.Code)
	assert.Empty(t, p.value("/models/late"))
}

// A lone voter answers ReadIndex at once, with what it remembers of the commit
// index, and that lags. Nothing acknowledged may be missing below the answer.
func TestStory_NoReadIsAnsweredBelowWhatWasAcknowledgedBeforeARestart(t *testing.T) {
	for seed := range uint64(10) {
		p := newProbe(t, 60+seed)
		var last uint64
		for n := range 5 {
			r := p.put("/models/a", fmt.Sprintf("value %d", n), nil)
			require.Nil(t, r.Error)
			last = r.Result.Version
		}
		p.host.node.Crash(seed%2 == 0)
		p.host.node.Restart()
		p.got = nil
		for range 2000 { // from the first moment on, until it is ready
			p.send("node/log", &messages.ReadIndex{Header: p.header()})
			p.story.world.Run(50 * time.Microsecond)
		}
		answered := 0
		for _, m := range p.got {
			if r, ok := m.(*messages.ReadIndexReply); ok && r.Error == nil {
				answered++
				require.GreaterOrEqual(t, r.Index, last, "seed %d", seed)
			}
		}
		require.NotZero(t, answered)
	}
}

func TestStory_WritesToOnePathTakeEffectInTheOrderTheyCame(t *testing.T) {
	for seed := range uint64(20) {
		p := newProbe(t, 30+seed)
		for n := range 10 { // all sent at once; a delete needs no bytes and could overtake
			value := fmt.Sprintf("value %d", n)
			content := blob(value, 100*(10-n))
			p.story.values.add(value, content)
			p.send(gatewayPath, &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
				Tenant: clientTenant, Path: "/models/a", SizeBytes: uint64(len(content)), Crc32C: crcOf(content),
			}})
			if n < 9 {
				p.send(gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: "/models/a"})
			}
		}
		if seed%2 == 0 {
			p.host.node.Fail("node/master/coordinator") // and everything is sent again
		}
		require.True(t, p.story.world.RunUntil(func() bool { return len(p.got) == 19 }, time.Minute))
		for _, m := range p.got {
			if r, ok := m.(*messages.MutationReply); ok {
				assert.Empty(t, r.GetError().GetCode(), "each delete finds the put before it")
			}
		}
		assert.Equal(t, "value 9", p.value("/models/a"))
	}
}

func TestStory_AnyActorMayFailAndNothingAcknowledgedIsLost(t *testing.T) {
	for seed, path := range actorPaths {
		t.Run(path, func(t *testing.T) {
			p := newProbe(t, uint64(10+seed))
			for round := range 4 {
				value := fmt.Sprintf("value %d", round)
				require.Nil(t, p.put("/models/a", value, nil).Error)
				p.host.node.Fail(path)
				p.story.world.Run(time.Duration(round) * 20 * time.Millisecond)
				assert.Equal(t, value, p.value("/models/a"))
			}
			require.Nil(t, p.put("/sessions/after", "after", nil).Error)
			p.host.node.Crash(true)
			p.host.node.Restart()
			p.waitReady()
			assert.Equal(t, "value 3", p.value("/models/a"))
			assert.Equal(t, "after", p.value("/sessions/after"))
		})
	}
}

// Seed 2026150296: a snapshot that an earlier life of the log had asked for came to
// one that was still reading.
func TestStory_TheLogMayFailWhileASnapshotIsTaken(t *testing.T) {
	for round := range 40 {
		p := newProbe(t, 30)
		underWay := func() bool {
			return slices.ContainsFunc(p.host.node.FS().Names(), func(name string) bool { return strings.HasPrefix(name, "tmp/") })
		}
		writes := 0
		for ; !underWay(); writes++ {
			p.sendPut("/models/a", fmt.Sprintf("value %d", writes))
			p.story.world.RunUntil(func() bool { return len(p.got) > 0 || underWay() }, time.Minute)
		}
		p.story.world.Run(time.Duration(round*100) * time.Microsecond)
		p.host.node.Fail("node/log")
		p.story.world.Run(time.Second)
		assert.Equal(t, fmt.Sprintf("value %d", writes-1), p.value("/models/a"))
		assert.Empty(t, p.story.bad)
	}
}

// Power fails in the middle of every single disk operation of a short life, the
// first start included: each time the node comes back with what it acknowledged.
func TestStory_PowerLossAtEveryDiskOperation(t *testing.T) {
	for at := 1; ; at++ {
		p := newProbe(t, uint64(at))
		acknowledged := ""
		p.host.node.CrashAfter(at, true)
		for round := 0; round < 12 && p.host.node.Up(); round++ {
			value := fmt.Sprintf("value %d", round)
			content := blob(value, 100)
			p.story.values.add(value, content)
			p.got = nil
			p.send(gatewayPath, &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
				Tenant: clientTenant, Path: "/models/a", SizeBytes: 100, Crc32C: crcOf(content),
			}})
			p.story.world.RunUntil(func() bool { return len(p.got) > 0 || !p.host.node.Up() }, time.Minute)
			if len(p.got) > 0 && p.got[0].(*messages.PutReply).Error == nil {
				acknowledged = value
			}
		}
		survived := p.host.node.Up()
		p.host.node.Restart()
		p.waitReady()
		got := p.value("/models/a")
		if got != acknowledged { // the one under way may have got through, whole
			next := 0
			if acknowledged != "" {
				_, err := fmt.Sscanf(acknowledged, "value %d", &next)
				require.NoError(t, err)
				next++
			}
			require.Equal(t, fmt.Sprintf("value %d", next), got, "crash at operation %d", at)
		}
		if survived {
			require.Greater(t, at, 20, "the life was too short to tell anything")
			return
		}
	}
}
