package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func (p *probe) limit(bytes int64) *messages.QuotaInfo {
	p.t.Helper()
	r := ask[*messages.ChangeQuotaReply](p, gatewayPath, &messages.ChangeQuota{Header: p.header(), Tenant: clientTenant, LimitBytes: bytes})
	require.Nil(p.t, r.Error, "%v", r.Error)
	return r.Quota
}

func (p *probe) quota() *messages.QuotaInfo {
	p.t.Helper()
	r := ask[*messages.ListQuotasReply](p, gatewayPath, &messages.ListQuotas{Header: p.header(), Tenant: clientTenant})
	require.Nil(p.t, r.Error, "%v", r.Error)
	require.Len(p.t, r.Quotas, 1)
	return r.Quotas[0]
}

// openUpload begins a file of a declared size, 0 for none.
func (p *probe) openUpload(path string, declared uint64) uint64 {
	p.t.Helper()
	r := p.tryUpload(path, declared)
	require.Nil(p.t, r.Error, "%v", r.Error)
	return r.Upload
}

func (p *probe) tryUpload(path string, declared uint64) *messages.OpenUploadReply {
	p.t.Helper()
	return ask[*messages.OpenUploadReply](p, gatewayPath, &messages.OpenUpload{
		Header: p.header(), File: &messages.FileAttributes{Tenant: clientTenant, Path: path, SizeBytes: declared},
	})
}

func (p *probe) tryPart(upload, part uint64, bytes int) *messages.Error {
	p.t.Helper()
	return ask[*messages.UploadPartReply](p, gatewayPath, &messages.UploadPart{
		Header: p.header(), Upload: upload, Part: part, Body: blob("part", bytes),
	}).Error
}

func (p *probe) finishUpload(path string, upload uint64, bytes uint64) *messages.Error {
	p.t.Helper()
	return ask[*messages.PutReply](p, gatewayPath, &messages.FinishUpload{
		Header: p.header(), Upload: upload, File: &messages.FileAttributes{Tenant: clientTenant, Path: path, SizeBytes: bytes},
	}).Error
}

// appended is how much lies in all volumes of the probe's node, wanted or not.
func (p *probe) appended() (bytes uint64) {
	for _, state := range p.host.data.Volumes.States() {
		bytes += state.End
	}
	return bytes
}

func TestStory_AWriteThatCannotFitIsRefusedBeforeItsBytesGoAnywhere(t *testing.T) {
	p := newProbe(t, 31)
	assert.EqualValues(t, 250, p.limit(250).LimitBytes)
	require.Nil(t, p.put("/models/a", "a", nil).Error) // 100 bytes each
	require.Nil(t, p.put("/models/b", "b", nil).Error)
	before := p.appended()

	refused := p.put("/models/c", "c", nil).Error
	require.Equal(t, string(model.CodeQuotaExceeded), refused.GetCode(), "%v", refused)
	assert.Equal(t, map[string]string{"tenant": "default", "limit_bytes": "250", "used_bytes": "200", "reserved_bytes": "0", "asked_bytes": "100"}, refused.Details)
	open := p.tryUpload("/models/d", 51)
	require.Equal(t, string(model.CodeQuotaExceeded), open.Error.GetCode(), "before any of it has come")
	require.NotNil(t, p.tryPart(open.Upload, 0, 10))
	assert.Equal(t, before, p.appended(), "nothing was sent to a volume")
	assert.Empty(t, p.value("/models/c"))

	require.Nil(t, p.put("/models/a", "other", nil).Error, "as much in place of as much")
	id := p.openUpload("/models/e", 0) // nobody knows how long it gets
	require.Nil(t, p.tryPart(id, 0, 40))
	assert.EqualValues(t, 40, p.quota().ReservedBytes)
	require.Equal(t, string(model.CodeQuotaExceeded), p.tryPart(id, 1, 11).GetCode())
	p.story.world.Run(time.Second)
	q := p.quota()
	assert.Equal(t, []int64{200, 0, 2}, []int64{q.UsedBytes, q.ReservedBytes, q.Files}, "what it had staged is released")
	assert.Empty(t, p.story.catalogAt(0).StagedByLimited())

	id = p.openUpload("/models/f", 0)
	require.Nil(t, p.tryPart(id, 0, 40))
	require.Nil(t, p.tryPart(id, 1, 10))
	require.Nil(t, p.finishUpload("/models/f", id, 50))
	q = p.quota()
	assert.Equal(t, []int64{250, 0, 3}, []int64{q.UsedBytes, q.ReservedBytes, q.Files}, "up to the limit")
	assert.Empty(t, p.story.bad)
}

func TestStory_AWriteUnderWayKeepsItsRoomUntilItEnds(t *testing.T) {
	p := newProbe(t, 32)
	p.limit(300)
	id := p.openUpload("/models/large", 250)
	assert.EqualValues(t, 250, p.quota().ReservedBytes, "all that was declared, before any of it has come")
	require.Nil(t, p.tryPart(id, 0, 10))
	assert.EqualValues(t, 250, p.quota().ReservedBytes, "once")
	refused := p.put("/models/a", "a", nil).Error
	assert.Equal(t, "250", refused.GetDetails()["reserved_bytes"], "%v", refused)

	ask[*messages.MutationReply](p, gatewayPath, &messages.DropUpload{Header: p.header(), Upload: id})
	p.story.world.Run(time.Second)
	assert.Zero(t, p.quota().ReservedBytes, "its client has gone")
	p.openUpload("/models/large", 250)
	p.story.world.Run(7 * time.Second)
	assert.Zero(t, p.quota().ReservedBytes, "nothing of it came")
	require.Nil(t, p.put("/models/a", "a", nil).Error)

	// A put that was refused for another reason gives its room back at once.
	for range 5 {
		r := p.put("/models/new", "x", &messages.Conditions{MustExist: true})
		require.Equal(t, string(model.CodePreconditionFailed), r.Error.GetCode())
	}
	require.Nil(t, p.put("/models/b", "b", nil).Error)
	require.Nil(t, p.put("/models/c", "c", nil).Error)
	assert.Zero(t, p.quota().ReservedBytes)
	assert.EqualValues(t, 300, p.quota().UsedBytes)
	assert.Empty(t, p.story.bad)
}

// What a gateway began under an earlier master reaches the next one as a commit of which
// it has no reservation.
func TestStory_ACommitThatNothingWasReservedForIsJudgedByApply(t *testing.T) {
	p := newProbe(t, 36)
	session := openSession(p)
	cmd := extentsOf(p, "/models/late", "late", nil) // 100 bytes, which another file has too
	p.limit(150)
	result := repeat(p, session, 1, 0, cmd)
	p.story.world.Run(100 * time.Millisecond)
	require.Empty(t, p.story.bad, "what the checker sees")
	assert.Equal(t, string(model.CodeQuotaExceeded), result.Code)
	p.limit(200)
	assert.Equal(t, string(model.CodeQuotaExceeded), repeat(p, session, 1, 0, cmd).Code, "its answer was given")
	assert.Empty(t, repeat(p, session, 2, 0, cmd).Code)
	p.story.world.Run(100 * time.Millisecond)
	assert.EqualValues(t, 200, p.quota().UsedBytes)
	require.Empty(t, p.story.bad)
}

func TestStory_AMoveOntoAnotherFileCountsWhatIsLeft(t *testing.T) {
	p := newProbe(t, 37)
	require.Nil(t, p.put("/models/a", "a", nil).Error)
	require.Nil(t, p.put("/models/b", "b", nil).Error)
	p.limit(200)
	moved := ask[*messages.MutationReply](p, gatewayPath, &messages.Move{Header: p.header(), Tenant: clientTenant, From: "/models/a", To: "/models/b", Overwrite: true})
	require.Nil(t, moved.Error)
	p.story.world.Run(100 * time.Millisecond)
	require.Empty(t, p.story.bad, "what the checker sees")
	assert.EqualValues(t, 100, p.quota().UsedBytes)
	require.Nil(t, p.put("/models/c", "c", nil).Error, "there is room again")
}

// others are the hosts beside the master.
func (p *probe) others() []*host {
	var out []*host
	for _, h := range p.story.hosts {
		if h != p.story.master() {
			out = append(out, h)
		}
	}
	return out
}

func TestStory_AfterAFailoverWhatWasStagedIsReservedOnce(t *testing.T) {
	for seed := range uint64(5) {
		p := newClusterProbe(t, 330+seed, 3)
		p.host = p.others()[0]
		p.limit(300)
		id := p.openUpload("/models/large", 0)
		require.Nil(t, p.tryPart(id, 0, 100))
		require.Nil(t, p.tryPart(id, 1, 100))
		old := p.story.master()
		old.node.Crash(false)
		require.True(t, p.story.world.RunUntil(func() bool { return p.story.master() != old && p.story.serving() }, time.Minute))

		assert.EqualValues(t, 200, p.quota().ReservedBytes, "seed %d: used and staged", seed)
		require.Nil(t, p.put("/models/a", "a", nil).Error, "seed %d: 100 fit beside the 200", seed)
		refused := p.put("/models/b", "b", nil).Error
		assert.Equal(t, "200", refused.GetDetails()["reserved_bytes"], "seed %d: %v", seed, refused)
		deleted := ask[*messages.MutationReply](p, gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: "/models/a"})
		require.Nil(t, deleted.Error)

		require.Nil(t, p.tryPart(id, 2, 100), "seed %d: its own 200 and 100 more", seed)
		assert.EqualValues(t, 300, p.quota().ReservedBytes)
		require.Nil(t, p.finishUpload("/models/large", id, 300), "seed %d", seed)
		q := p.quota()
		assert.Equal(t, []int64{300, 0}, []int64{q.UsedBytes, q.ReservedBytes}, "seed %d", seed)
		assert.Empty(t, p.story.bad, "seed %d", seed)
	}
}

func TestStory_WhatAGatewayHadReservedIsFreeWhenItIsGone(t *testing.T) {
	p := newClusterProbe(t, 34, 3)
	p.story.world.Run(25 * heartbeatInterval) // the lead has gone to the best candidate, and stays
	master := p.story.master()
	dies := p.others()[0]
	p.host = dies
	p.limit(300)
	id := p.openUpload("/models/large", 300)
	require.Nil(t, p.tryPart(id, 0, 100))
	dies.node.Crash(false)
	p.host = p.others()[1]
	require.Equal(t, string(model.CodeQuotaExceeded), p.put("/models/a", "a", nil).Error.GetCode())
	free := func() bool { return p.quota().ReservedBytes == 0 }
	require.True(t, p.story.world.RunUntil(func() bool { return dies.node.Up() && dies.ready }, time.Minute), "its next life opens another session")
	for tries := 0; !free() && tries < 20; tries++ {
		p.story.world.Run(time.Second)
	}
	require.True(t, free(), "%v", p.quota())
	require.Equal(t, master, p.story.master(), "it was this master that released it")
	require.Nil(t, p.put("/models/a", "a", nil).Error)
	assert.Empty(t, p.story.bad)
}

func TestStory_QuotasAreListedLoweredTakenAwayAndForecast(t *testing.T) {
	p := newProbe(t, 35)
	for n := range 6 {
		require.Nil(t, p.put(fmt.Sprintf("/models/%d", n), "v", nil).Error)
	}
	q := p.limit(250)
	assert.EqualValues(t, []int64{250, 600, 6}, []int64{q.LimitBytes, q.UsedBytes, q.Files})
	assert.Equal(t, string(model.CodeQuotaExceeded), p.put("/models/x", "x", nil).Error.GetCode())
	require.Nil(t, p.put("/models/0", "y", nil).Error, "what raises nothing goes on")

	p.limit(5000)
	for n := range 8 {
		p.story.world.Run(5 * time.Second)
		require.Nil(t, p.put(fmt.Sprintf("/models/grows/%d", n), "v", nil).Error)
	}
	q = p.quota()
	at := time.UnixMilli(q.FullUnixMs).Sub(p.host.node.Runtime().Now())
	assert.InDelta(t, 36*5, at.Seconds(), 60, "36 more of a hundred bytes, one in five seconds")

	r := ask[*messages.ChangeQuotaReply](p, gatewayPath, &messages.ChangeQuota{Header: p.header(), Tenant: clientTenant, Remove: true})
	require.Nil(t, r.Error)
	assert.False(t, r.Quota.Limited)
	bad := ask[*messages.ChangeQuotaReply](p, gatewayPath, &messages.ChangeQuota{Header: p.header(), Tenant: "Not A Tenant", LimitBytes: 1})
	assert.Equal(t, string(model.CodeInvalidArgument), bad.Error.GetCode())
	v := ask[*messages.VerifyQuotasReply](p, gatewayPath, &messages.VerifyQuotas{Header: p.header()})
	require.Nil(t, v.Error)
	assert.Equal(t, []uint64{1, 14}, []uint64{v.Tenants, v.Files})
	assert.Empty(t, v.Differences)
	all := ask[*messages.ListQuotasReply](p, gatewayPath, &messages.ListQuotas{Header: p.header(), Limit: 10})
	require.Len(t, all.Quotas, 1)
	assert.Empty(t, p.story.bad)
}
