package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/catalog"
	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// setLicense installs a licence that was issued at 1 and ends at a time.
func setLicense(level string, at, expires int64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_SetLicense{SetLicense: &messages.SetLicense{AtUnixMs: at, License: &messages.LicenseRow{
		Id: "l-" + level, Customer: "a test", Level: level, IssuedUnixMs: 1, ExpiresUnixMs: expires,
	}}}}
}

func noteTime(at int64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_NoteLicenseTime{NoteLicenseTime: &messages.NoteLicenseTime{AtUnixMs: at}}}
}

func setTier(row *messages.TierRow) *messages.Command {
	return &messages.Command{Kind: &messages.Command_SetTier{SetTier: &messages.SetTier{Tier: row}}}
}

// licensed is a rig whose cluster began at a level; empty: without a licence.
func licensed(t *testing.T, level license.Level) *rig {
	r := emptyRig(t)
	boot := bootstrap()
	boot.GetBootstrap().License = nil
	if level != "" {
		boot.GetBootstrap().License = setLicense(string(level), 100, 1000).GetSetLicense()
	}
	r.mustDo(boot)
	r.mustDo(r.joins(1))
	for _, tier := range model.Tiers {
		r.mustDo(createVolume(tier, "w-1"))
	}
	r.session = r.mustDo(openSession("n-gw", 1)).Id
	return r
}

// joins is the registration of the n-th worker.
func (r *rig) joins(n int) *messages.Command {
	return register(fmt.Sprintf("w-%d", n), func(w *messages.WorkerRow) { w.RaftId = uint64(n) })
}

// asked is a small file of a tier that was asked for by name; 0: by its path.
func (r *rig) asked(path string, tier, asked uint32) *messages.Command {
	f := file(path, 10)
	f.Tier, f.TierAsked = tier, asked
	return putFile(&messages.PutFile{File: f, Extents: r.extents(uint64(tier), 10)})
}

// everyLevel are the levels, and a cluster without a licence, which is as free.
var everyLevel = []license.Level{"", license.Free, license.Standard, license.Professional, license.Enterprise}

// tries runs a command at each level on a cluster of its own.
func tries(t *testing.T, feature license.Feature, has map[license.Level]bool, lowest license.Level, try func(r *rig) *messages.Command) {
	t.Helper()
	for _, level := range everyLevel {
		r := licensed(t, level)
		cmd := try(r)
		if has[level] {
			r.mustDo(cmd)
			continue
		}
		res := r.refuses(model.CodeLicenseDenied, cmd)
		assert.Equal(t, string(feature), res.Details["feature"], "%s: %v", level, res)
		assert.Equal(t, string(lowest), res.Details["level"], "%s: %v", level, res)
		assert.Contains(t, res.Message, "the level "+string(lowest), level)
	}
}

var (
	fromStandard     = map[license.Level]bool{license.Standard: true, license.Professional: true, license.Enterprise: true}
	fromProfessional = map[license.Level]bool{license.Professional: true, license.Enterprise: true}
	onlyEnterprise   = map[license.Level]bool{license.Enterprise: true}
)

func TestLicense_WorkersJoinUpToTheNumberOfTheLevel(t *testing.T) {
	for level, limit := range map[license.Level]int{"": 1, license.Free: 1, license.Standard: 2, license.Professional: 5, license.Enterprise: 12} {
		r := licensed(t, level)
		for n := 2; n <= limit; n++ {
			r.mustDo(r.joins(n))
		}
		if level == license.Enterprise {
			continue
		}
		res := r.refuses(model.CodeLicenseDenied, r.joins(limit+1))
		assert.Equal(t, fmt.Sprint(limit), res.Details["limit"], level)
		r.mustDo(register("w-1", func(w *messages.WorkerRow) { w.RaftId, w.Incarnation = 1, 2 }))
		if limit > 1 {
			r.mustDo(remove(fmt.Sprintf("w-%d", limit), true))
			r.mustDo(r.joins(limit + 1)) // in the place of the one that left
		}
	}
}

func TestLicense_TiersAndCopies(t *testing.T) {
	tries(t, license.Synchronous, fromProfessional, license.Professional, func(r *rig) *messages.Command { return r.asked("/a", 1, 1) })
	tries(t, license.Tiered, fromStandard, license.Standard, func(r *rig) *messages.Command { return r.asked("/a", 2, 2) })
	all := map[license.Level]bool{"": true, license.Free: true, license.Standard: true, license.Professional: true, license.Enterprise: true}
	tries(t, "", all, "", func(r *rig) *messages.Command { return r.asked("/a", 3, 3) })
	for _, tier := range []uint32{1, 2, 3} {
		tries(t, "", all, "", func(r *rig) *messages.Command { return r.asked("/a", tier, 0) })
	}
	tries(t, license.Synchronous, fromProfessional, license.Professional, func(r *rig) *messages.Command {
		return setTier(&messages.TierRow{Tier: 1, Copies: 3, MinCopies: 1})
	})
	tries(t, license.Tiered, fromStandard, license.Standard, func(r *rig) *messages.Command { return setTier(&messages.TierRow{Tier: 3, Copies: 2}) })
	tries(t, license.Synchronous, fromProfessional, license.Professional, func(r *rig) *messages.Command { return createVolume(model.TierCritical, "w-1", "w-2") })
	tries(t, license.Tiered, fromStandard, license.Standard, func(r *rig) *messages.Command { return createVolume(model.TierImportant, "w-1", "w-2") })
}

func TestLicense_ALimitOfATenantIsSetFromStandardOnAndTakenAwayAtAnyLevel(t *testing.T) {
	tries(t, license.Quotas, fromStandard, license.Standard, func(*rig) *messages.Command { return setQuota("default", 1000) })
	r := licensed(t, license.Standard)
	r.mustDo(setQuota("default", 1000))
	r.mustDo(noteTime(1000)) // it has expired
	r.refuses(model.CodeLicenseDenied, setQuota("default", 2000))
	r.refuses(model.CodeQuotaExceeded, putFile(&messages.PutFile{File: file("/a", 2000), Extents: r.extents(1, 2000)}))
	r.mustDo(removeQuota("default"))
	assert.Empty(t, r.c.Limited())
}

func TestLicense_DisksRebalanceAndDatacenters(t *testing.T) {
	tries(t, license.DiskPlacement, fromProfessional, license.Professional, func(r *rig) *messages.Command {
		return setTier(&messages.TierRow{Tier: 2, DiskPreference: "ssd"})
	})
	tries(t, license.AutoRebalance, onlyEnterprise, license.Enterprise, func(r *rig) *messages.Command { return createJob(messages.JobKind_REBALANCE, "") })
	tries(t, license.AutoRebalance, onlyEnterprise, license.Enterprise, func(r *rig) *messages.Command {
		return setSettings(0, func(s *messages.Settings) { s.AutoRebalance = true })
	})
	for _, level := range everyLevel[2:] {
		r := emptyRig(t)
		boot := bootstrap()
		boot.GetBootstrap().License = setLicense(string(level), 100, 1000).GetSetLicense()
		r.mustDo(boot)
		dc := func(n int, dc string) *messages.Command {
			return register(fmt.Sprintf("w-%d", n), func(w *messages.WorkerRow) { w.RaftId, w.Dc = uint64(n), dc })
		}
		r.mustDo(dc(1, "east"))
		switch res := r.do(dc(2, "west")); {
		case level == license.Enterprise:
			assert.Empty(t, res.Code, res.Message)
		default:
			assert.Equal(t, string(license.CrossDC), res.Details["feature"], "%s: %v", level, res)
			if level != license.Free {
				r.mustDo(dc(3, "east"))
			}
		}
	}
}

func TestLicense_UnlicensedSettingsThatAreThereMayStay(t *testing.T) {
	r := licensed(t, license.Enterprise)
	r.mustDo(setTier(&messages.TierRow{Tier: 1, Copies: 3, MinCopies: 2, DiskPreference: "nvme"}))
	r.mustDo(setSettings(0, func(s *messages.Settings) { s.AutoRebalance = true }))
	r.mustDo(setLicense("free", 200, 1000))
	r.mustDo(setTier(&messages.TierRow{Tier: 1, Copies: 3, MinCopies: 2, DiskPreference: "nvme", Prefixes: []string{"/more/"}}))
	r.mustDo(setTier(&messages.TierRow{Tier: 1, Copies: 1, DiskPreference: "any"}))
	r.mustDo(setSettings(0, func(s *messages.Settings) { s.AutoRebalance, s.BackgroundBytesPerSecond = true, 9 }))
}

func TestLicense_WhatIsOnAlreadyIsDeniedToWhoNamesItAndStaysForWhoDoesNot(t *testing.T) {
	automatic := func(on, asked bool, limit uint64) *messages.Command {
		cmd := setSettings(0, func(s *messages.Settings) { s.AutoRebalance, s.BackgroundBytesPerSecond = on, limit })
		cmd.GetSetSettings().AutoRebalanceAsked = asked
		return cmd
	}
	for _, level := range license.Levels {
		r := licensed(t, license.Enterprise)
		r.mustDo(automatic(true, true, 1))
		r.mustDo(setLicense(string(level), 200, 1000))
		r.mustDo(automatic(true, false, 2))
		if level == license.Enterprise {
			r.mustDo(automatic(true, true, 3))
		} else {
			res := r.refuses(model.CodeLicenseDenied, automatic(true, true, 3))
			assert.Equal(t, string(license.Enterprise), res.Details["level"], level)
			assert.Contains(t, res.Message, "the level enterprise has it", level)
			assert.Contains(t, res.Message, "leave rebalance.automatic out of the change, or set it to false", level)
			assert.EqualValues(t, 2, r.c.Cluster().Settings.BackgroundBytesPerSecond, "%s: nothing changes", level)
		}
		r.mustDo(automatic(false, false, 4))
	}
	row := func(copies, least uint32, disk string, prefixes ...string) *messages.TierRow {
		return &messages.TierRow{Tier: 1, Copies: copies, MinCopies: least, DiskPreference: disk, Prefixes: prefixes}
	}
	asked := func(row *messages.TierRow, copies, disk bool) *messages.Command {
		cmd := setTier(row)
		cmd.GetSetTier().CopiesAsked, cmd.GetSetTier().DiskAsked = copies, disk
		return cmd
	}
	for _, level := range []license.Level{license.Free, license.Standard} {
		r := licensed(t, license.Enterprise)
		r.mustDo(asked(row(3, 2, "nvme"), true, true))
		r.mustDo(setLicense(string(level), 200, 1000))
		r.mustDo(asked(row(3, 2, "nvme", "/more/"), false, false))
		res := r.refuses(model.CodeLicenseDenied, asked(row(3, 2, "nvme"), true, false))
		assert.Equal(t, string(license.Synchronous), res.Details["feature"], level)
		res = r.refuses(model.CodeLicenseDenied, asked(row(3, 2, "nvme"), false, true))
		assert.Equal(t, string(license.DiskPlacement), res.Details["feature"], level)
		r.mustDo(asked(row(3, 1, "nvme"), false, false)) // less is no asking
		r.mustDo(asked(row(1, 1, "any"), false, true))
	}
}

// busy is a cluster of five workers that has used what its licence allows.
func busy(t *testing.T) *rig {
	r := licensed(t, license.Enterprise)
	for n := 2; n <= 5; n++ {
		r.mustDo(r.joins(n))
	}
	r.mustDo(createVolume(model.TierCritical, "w-2", "w-3", "w-4"))
	r.mustDo(putFile(&messages.PutFile{File: file("/kept", 10), Extents: r.extents(4, 10)}))
	r.mustDo(putFile(&messages.PutFile{File: file("/deleted", 10), Extents: r.extents(4, 10)}))
	return r
}

// goesOn does everything that no licence may ever be in the way of.
func goesOn(t *testing.T, r *rig) {
	t.Helper()
	r.mustDo(deleteFile("/deleted", nil))
	r.mustDo(moveFile("/kept", "/moved", false))
	_, found := r.c.Stat("default", "/moved")
	assert.True(t, found)
	r.mustDo(register("w-5", func(w *messages.WorkerRow) { w.RaftId, w.Incarnation, w.Address = 5, 2, "elsewhere:1" }))
	require.Len(t, r.c.Volumes(), 4)
	end := seal(4, 1, r.volume(4).CommittedEnd)
	end.GetSealVolume().Intact = []string{"w-2", "w-3", "w-4"}
	r.mustDo(end)
	r.mustDo(transition("w-4", messages.WorkerState_HEALTHY, messages.WorkerState_DECOMMISSIONED, 10))
	for _, kind := range []messages.JobKind{messages.JobKind_REPAIR, messages.JobKind_EVACUATION, messages.JobKind_DRAIN, messages.JobKind_SCRUB, messages.JobKind_ADAPT} {
		r.mustDo(createJob(kind, "w-5"))
	}
	added := r.mustDo(r.change(4, []string{"w-1"}))
	r.mustDo(verify(4, "w-1", added.Id, "digest"))
	assert.Len(t, r.volume(4).Members, 4, "the repair brought a fourth copy, in the place of the one that is gone")
	assert.Zero(t, r.volume(4).LicensedCopies, "a volume that had its copies keeps them")
	for _, node := range []string{"w-1", "w-2", "w-3", "w-4", "w-5"} {
		assert.NotEqual(t, messages.WorkerState_LEFT, r.worker(node).State, node)
	}
}

func TestLicense_ExpiryBlocksNoDeleteNoRepairNoDrainAndNoWorkerThatIsThere(t *testing.T) {
	r := busy(t)
	r.mustDo(noteTime(1000))
	require.True(t, r.c.Cluster().License.Expired)
	r.refuses(model.CodeLicenseDenied, r.asked("/new", 1, 1))
	r.refuses(model.CodeLicenseDenied, r.joins(6))
	r.mustDo(r.asked("/by its path", 1, 0))
	goesOn(t, r)
}

func TestLicense_ADowngradeThrowsNobodyOut(t *testing.T) {
	r := busy(t)
	r.mustDo(setLicense("standard", 200, 1000))
	r.refuses(model.CodeLicenseDenied, r.joins(6))
	goesOn(t, r)
}

func TestLicense_VolumesMadeWithOneCopyGetTheRestWhenALicenceHasIt(t *testing.T) {
	r := licensed(t, license.Free)
	for id := range uint64(3) {
		assert.EqualValues(t, 1, r.volume(id+1).LicensedCopies, "volume %d", id+1)
	}
	r.mustDo(setLicense("standard", 200, 1000))
	assert.EqualValues(t, 1, r.volume(1).LicensedCopies, "tier 1 is not in standard")
	assert.Zero(t, r.volume(2).LicensedCopies)
	r.mustDo(setLicense("professional", 300, 1000))
	assert.Zero(t, r.volume(1).LicensedCopies)
	r.mustDo(noteTime(1000))
	assert.Zero(t, r.volume(1).LicensedCopies, "expiry takes nothing away")
	r.mustDo(createVolume(model.TierCritical, "w-1"))
	assert.EqualValues(t, 1, r.volume(4).LicensedCopies)
}

func TestLicense_AClockThatWasMovedBackRevivesNothing(t *testing.T) {
	r := licensed(t, license.Enterprise)
	r.mustDo(noteTime(5000))
	assert.True(t, r.c.Cluster().License.Expired)
	before := r.c.Cluster().License
	r.mustDo(noteTime(500))
	assert.Equal(t, before, r.c.Cluster().License)
	res := r.refuses(model.CodeInvalidArgument, setLicense("enterprise", 200, 1000))
	assert.Equal(t, "license_expired", res.Details["reason"])
	r.refuses(model.CodeLicenseDenied, r.joins(2))
}

func TestLicense_ARetryOfAWriteFromBeforeIsAnsweredAsThen(t *testing.T) {
	r := licensed(t, license.Enterprise)
	cmd := r.asked("/a", 1, 1)
	cmd.IdempotencyKey = "k"
	first := r.mustDo(cmd)
	r.mustDo(noteTime(1000))
	assert.Equal(t, first.Version, r.mustDo(cmd).Version)
}

func TestLicense_FactsThatCannotBeAreRefused(t *testing.T) {
	r := licensed(t, license.Standard)
	for name, wrong := range map[string]func(*messages.SetLicense){
		"none":                       func(s *messages.SetLicense) { s.License = nil },
		"no id":                      func(s *messages.SetLicense) { s.License.Id = "" },
		"no customer":                func(s *messages.SetLicense) { s.License.Customer = "" },
		"an unknown level":           func(s *messages.SetLicense) { s.License.Level = "gold" },
		"too long a cluster":         func(s *messages.SetLicense) { s.License.Cluster = strings.Repeat("x", catalog.MaxNameBytes+1) },
		"no time":                    func(s *messages.SetLicense) { s.License.ExpiresUnixMs = 1 },
		"a proposer without a clock": func(s *messages.SetLicense) { s.AtUnixMs = 0 },
	} {
		cmd := setLicense("enterprise", 200, 1000)
		wrong(cmd.GetSetLicense())
		res := r.refuses(model.CodeInvalidArgument, cmd)
		assert.Equal(t, "bad_field", res.Details["reason"], name)
		boot := bootstrap()
		boot.GetBootstrap().License = cmd.GetSetLicense()
		if boot.GetBootstrap().License.License != nil || name == "none" {
			empty := emptyRig(t)
			assert.Equal(t, "bad_bootstrap", empty.do(boot).Details["reason"], name)
		}
	}
}

func TestLicense_ABootstrapWithOneThatHasEndedFoundsAFreeCluster(t *testing.T) {
	r := emptyRig(t)
	boot := bootstrap()
	boot.GetBootstrap().License = setLicense("enterprise", 2000, 1000).GetSetLicense()
	r.mustDo(boot)
	assert.Nil(t, r.c.Cluster().License)
}
