package master

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/messages"
)

// level gives the rig's cluster a licence of a level that does not end; empty: none.
func (r *rig) level(level license.Level) {
	r.status.Cluster.License = nil
	if level != "" {
		r.status.Cluster.License = &messages.LicenseRow{Id: "l-1", Level: string(level), ExpiresUnixMs: math.MaxInt64, SeenUnixMs: math.MaxInt64 - 1}
	}
}

// asks sends a question to the controller and returns its answer.
func asks[R proto.Message](r *rig, msg proto.Message) R {
	var got R
	found := false
	r.spawn("asker", "asker", func(_ *runtime.Context, answer any) {
		if m, ok := answer.(R); ok {
			got, found = m, true
		}
	})
	host := r.world.Node("asker").Runtime().(runtime.Host)
	host.System().Root.RequestWithCustomSender(host.Peer("m", "controller"), msg, host.Local("asker"))
	require.True(r.t, r.world.RunUntil(func() bool { return found }, 10*time.Second))
	return got
}

func TestLicense_TheMasterTellsTheLogThatItHasEnded(t *testing.T) {
	r := newRig(t, 1)
	ends := r.world.Now().Add(2 * time.Second)
	r.status.Cluster.License = &messages.LicenseRow{Id: "l-1", Level: "enterprise", ExpiresUnixMs: ends.UnixMilli(), SeenUnixMs: r.world.Now().UnixMilli()}
	r.controller()
	r.world.Run(time.Second)
	for _, cmd := range r.logged {
		assert.Nil(t, cmd.GetNoteLicenseTime(), "not before its time")
	}
	var note *messages.NoteLicenseTime
	require.True(t, r.world.RunUntil(func() bool {
		for _, cmd := range r.logged {
			note = cmd.GetNoteLicenseTime()
		}
		return note != nil
	}, 5*time.Second))
	assert.GreaterOrEqual(t, note.AtUnixMs, ends.UnixMilli())
	assert.Less(t, note.AtUnixMs, ends.Add(time.Second).UnixMilli(), "and soon")
}

func TestLicense_TheMasterVerifiesBeforeItLogs(t *testing.T) {
	r := newRig(t, 1)
	r.level("")
	r.controller()
	good, err := signed.Develop(license.Professional, r.world.Now())
	require.NoError(t, err)
	for name, text := range map[string]string{
		"forged":    good[:20] + "x" + good[21:],
		"truncated": good[:len(good)-30],
		"nothing":   "",
	} {
		reply := asks[*messages.InstallLicenseReply](newLike(r), &messages.InstallLicense{Header: &messages.Header{}, Text: text})
		require.NotNil(t, reply.Error, name)
		assert.Equal(t, "invalid_argument", reply.Error.Code, name)
		assert.NotEmpty(t, reply.Error.Details["reason"], name)
	}
	for _, cmd := range r.logged {
		assert.Nil(t, cmd.GetSetLicense())
	}
	reply := asks[*messages.InstallLicenseReply](r, &messages.InstallLicense{Header: &messages.Header{}, Text: good, IfNewer: true})
	require.Nil(t, reply.Error)
	set := r.logged[len(r.logged)-1].GetSetLicense()
	require.NotNil(t, set)
	assert.True(t, set.IfNewer)
	assert.Equal(t, "professional", set.License.Level)
	assert.InDelta(t, r.world.Now().UnixMilli(), set.AtUnixMs, 2000)
}

// newLike is a world of its own with the same cluster, for one question.
func newLike(old *rig) *rig {
	r := newRig(old.t, 1)
	r.status.Cluster = old.status.Cluster
	r.controller()
	return r
}

func TestLicense_VotersGrowOnlyWhereFailoverIsLicensedAndNeverShrink(t *testing.T) {
	grows := func(level license.Level, voters ...uint64) *messages.ChangeVoters {
		r := newRig(t, 4)
		r.conf.Voters = voters
		r.status.Cluster.Failover = true
		r.level(level)
		var asked *messages.ChangeVoters
		r.voters = func(m *messages.ChangeVoters) { asked = m }
		r.controller()
		r.world.Run(3 * time.Second)
		return asked
	}
	for _, level := range []license.Level{"", license.Free, license.Standard} {
		change := grows(level, 1)
		require.NotNil(t, change, level)
		assert.Equal(t, []uint64{1}, change.Voters, level)
		assert.Len(t, change.Learners, 1, "%s: one stands by", level)
	}
	change := grows(license.Professional, 1)
	require.NotNil(t, change)
	assert.Len(t, change.Learners, 4, "five shall vote")
	assert.Nil(t, grows("", 1, 100, 101, 102, 103), "those that vote go on")
}

func TestLicense_AVoterMayBePromotedByAnyLevelAndNobodyElseWithoutFailover(t *testing.T) {
	r := newRig(t, 2)
	r.conf.Voters = []uint64{1}
	r.level(license.Standard)
	r.controller()
	reply := asks[*messages.PromoteWorkerReply](r, &messages.PromoteWorker{Header: &messages.Header{}, Node: "w-1"})
	require.NotNil(t, reply.Error)
	assert.Equal(t, "license_denied", reply.Error.Code)
	assert.Equal(t, "master_failover", reply.Error.Details["feature"])
	assert.Equal(t, "professional", reply.Error.Details["level"])

	c := newController(r.cfg)
	c.conf.Voters = []uint64{1, 100}
	c.cluster = r.status.Cluster
	assert.NoError(t, c.denyPromotion(r.row("w-1")), "it votes already")
	assert.Error(t, c.denyPromotion(r.row("w-2")))
}

func TestLicense_DisksAndDatacentersAreAlikeToPlacementWhereTheyAreNotLicensed(t *testing.T) {
	row := &messages.WorkerRow{DiskType: "nvme", Dc: "east", Rack: "r", Host: "h", State: messages.WorkerState_HEALTHY}
	for level, want := range map[string][2]string{"": {"", ""}, "standard": {"", ""}, "professional": {"nvme", ""}, "enterprise": {"nvme", "east"}} {
		w := candidate("w", row, nil, &messages.ClusterRow{License: &messages.LicenseRow{Level: level}})
		assert.Equal(t, want, [2]string{w.DiskType, w.DC}, level)
		assert.Equal(t, "h", w.Host, "%s: two copies are never on one host", level)
	}
}

func TestLicense_SinglesAreTheTiersThatGetOneCopy(t *testing.T) {
	for level, want := range map[string][3]bool{"": {true, true, true}, "standard": {true, false, false}, "professional": {}, "enterprise": {}} {
		s := singles(&messages.ClusterRow{License: &messages.LicenseRow{Level: level}})
		assert.Equal(t, want, [3]bool{s[1], s[2], s[3]}, level)
	}
}
