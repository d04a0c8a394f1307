package catalog_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func createJob(kind messages.JobKind, subject string) *messages.Command {
	return &messages.Command{ProposedUnixMs: 10, Kind: &messages.Command_CreateJob{CreateJob: &messages.CreateJob{Kind: kind, Subject: subject, Cause: "a test"}}}
}

func changeJob(id uint64, to messages.JobState) *messages.Command {
	return &messages.Command{ProposedUnixMs: 20, Kind: &messages.Command_ChangeJobState{ChangeJobState: &messages.ChangeJobState{Id: id, To: to}}}
}

func updateJob(id, term, done uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_UpdateJob{UpdateJob: &messages.UpdateJob{
		Id: id, OwnerGeneration: 1, OwnerTerm: term, TotalBytes: 100, DoneBytes: done, Blockers: []string{"something"},
	}}}
}

func (r *rig) job(id uint64) *messages.JobRow {
	for _, j := range r.c.Jobs() {
		if j.Id == id {
			return j
		}
	}
	return nil
}

func TestJobs_OneOfAKindAndSubjectAtATime(t *testing.T) {
	r := newRig(t)
	a := r.mustDo(createJob(messages.JobKind_REPAIR, "w-1"))
	again := r.mustDo(createJob(messages.JobKind_REPAIR, "w-1"))
	assert.True(t, a.Created)
	assert.False(t, again.Created)
	assert.Equal(t, a.Id, again.Id)
	assert.NotEqual(t, a.Id, r.mustDo(createJob(messages.JobKind_REPAIR, "w-2")).Id)
	r.mustDo(changeJob(a.Id, messages.JobState_DONE))
	assert.NotEqual(t, a.Id, r.mustDo(createJob(messages.JobKind_REPAIR, "w-1")).Id)
}

func TestJobs_AskedForAgainWithAnotherLimitGetsIt(t *testing.T) {
	r := newRig(t)
	limited := func(limit uint64) *messages.Command {
		cmd := createJob(messages.JobKind_SCRUB, "")
		cmd.GetCreateJob().BytesPerSecond = limit
		return cmd
	}
	id := r.mustDo(limited(0)).Id
	r.mustDo(updateJob(id, 5, 30))
	for _, c := range []struct{ asked, want uint64 }{{1 << 20, 1 << 20}, {0, 1 << 20}, {5, 5}, {5, 5}} {
		again := r.mustDo(limited(c.asked))
		assert.False(t, again.Created)
		assert.Equal(t, id, again.Id)
		assert.Equal(t, c.want, r.job(id).BytesPerSecond, "after %d was asked for", c.asked)
	}
	assert.EqualValues(t, 30, r.job(id).DoneBytes, "it goes on where it was")
}

func TestJobs_AReportOfAnOlderEpochSaysNothing(t *testing.T) {
	r := newRig(t)
	id := r.mustDo(createJob(messages.JobKind_REBALANCE, "")).Id
	r.mustDo(updateJob(id, 5, 30))
	r.refuses(model.CodeStaleEpoch, updateJob(id, 4, 10))
	assert.EqualValues(t, 30, r.job(id).DoneBytes)
	r.refuses(model.CodeNotFound, updateJob(id+100, 5, 10))
}

func TestJobs_ArePausedResumedAndCancelledButNotAfterTheirEnd(t *testing.T) {
	r := newRig(t)
	id := r.mustDo(createJob(messages.JobKind_REBALANCE, "")).Id
	r.mustDo(changeJob(id, messages.JobState_PAUSED))
	r.mustDo(changeJob(id, messages.JobState_RUNNING))
	r.mustDo(changeJob(id, messages.JobState_CANCELLED))
	r.mustDo(changeJob(id, messages.JobState_CANCELLED))
	r.refuses(model.CodeConflict, changeJob(id, messages.JobState_RUNNING))
	r.refuses(model.CodeConflict, updateJob(id, 9, 1))
	assert.EqualValues(t, 20, r.job(id).EndedUnixMs)
}

func TestJobs_TheNewestThatEndedAreKept(t *testing.T) {
	r := newRig(t)
	for i := range 70 {
		id := r.mustDo(createJob(messages.JobKind_REPAIR, fmt.Sprint("w-", i))).Id
		r.mustDo(changeJob(id, messages.JobState_DONE))
	}
	assert.Len(t, r.c.Jobs(), 64)
}

func TestDrain_ComesAndGoesWithItsJob(t *testing.T) {
	r := newRig(t)
	r.mustDo(register("w-a", nil))
	r.refuses(model.CodeNotFound, createJob(messages.JobKind_DRAIN, "w-b"))
	id := r.mustDo(createJob(messages.JobKind_DRAIN, "w-a")).Id
	assert.True(t, r.worker("w-a").Draining)
	r.mustDo(register("w-a", func(w *messages.WorkerRow) { w.Incarnation = 2 }))
	assert.True(t, r.worker("w-a").Draining, "a restart ends no drain")
	r.mustDo(changeJob(id, messages.JobState_DONE))
	assert.True(t, r.worker("w-a").Draining, "it stays empty until somebody says otherwise")
	r.mustDo(&messages.Command{Kind: &messages.Command_SetDraining{SetDraining: &messages.SetDraining{Node: "w-a"}}})
	assert.False(t, r.worker("w-a").Draining)
	id = r.mustDo(createJob(messages.JobKind_DRAIN, "w-a")).Id
	r.mustDo(&messages.Command{Kind: &messages.Command_SetDraining{SetDraining: &messages.SetDraining{Node: "w-a"}}})
	assert.Equal(t, messages.JobState_CANCELLED, r.job(id).State)
}

func setSettings(ifVersion uint64, change func(*messages.Settings)) *messages.Command {
	s := &messages.Settings{WeightFree: 0.4, WeightDisk: 0.3, WeightLoad: 0.2, WeightLatency: 0.1, WarnUsedShare: 0.8, FullUsedShare: 0.9, ReadOnlyUsedShare: 0.95}
	if change != nil {
		change(s)
	}
	return &messages.Command{Kind: &messages.Command_SetSettings{SetSettings: &messages.SetSettings{Settings: s, IfVersion: ifVersion}}}
}

func TestSettings_AreChangedByCompareAndSetAndJudged(t *testing.T) {
	r := newRig(t)
	v := r.mustDo(setSettings(0, nil)).Version
	assert.Equal(t, v, r.c.Cluster().Settings.Version)
	r.refuses(model.CodePreconditionFailed, setSettings(v-1, nil))
	r.mustDo(setSettings(v, func(s *messages.Settings) { s.BackgroundBytesPerSecond = 7 }))
	for name, wrong := range map[string]func(*messages.Settings){
		"weights that do not sum to 1": func(s *messages.Settings) { s.WeightFree = 0.5 },
		"not a number":                 func(s *messages.Settings) { s.WeightFree = math.NaN() },
		"shares out of order":          func(s *messages.Settings) { s.WarnUsedShare = 0.92 },
		"a share above 1":              func(s *messages.Settings) { s.RebalanceSpread = 1.5 },
	} {
		t.Run(name, func(t *testing.T) { r.refuses(model.CodeInvalidArgument, setSettings(0, wrong)) })
	}
}

func TestTiers_ARowIsReplacedAndAPatternHasOneTier(t *testing.T) {
	r := newRig(t)
	set := func(row *messages.TierRow) *messages.Command {
		return &messages.Command{Kind: &messages.Command_SetTier{SetTier: &messages.SetTier{Tier: row}}}
	}
	r.mustDo(set(&messages.TierRow{Tier: 2, Prefixes: []string{"/audit/", "/logs/"}, Copies: 3, MinCopies: 2}))
	assert.Len(t, r.c.Cluster().Tiers, 3)
	r.refuses(model.CodeConflict, set(&messages.TierRow{Tier: 3, Prefixes: []string{"/logs/"}}))
	r.refuses(model.CodeInvalidArgument, set(&messages.TierRow{Tier: 4}))
	r.refuses(model.CodeInvalidArgument, set(&messages.TierRow{Tier: 2, Copies: 2, MinCopies: 3}))
	r.refuses(model.CodeInvalidArgument, set(&messages.TierRow{Tier: 2, Prefixes: []string{"no slash"}}))
	r.refuses(model.CodeInvalidArgument, set(&messages.TierRow{Tier: 2, DiskPreference: "tape"}))
}
