package quota_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cluster/quota"
	"tiercel/messages"
)

var t0 = time.Unix(1_800_000_000, 0)

func account(limit, used int64) quota.Account {
	return quota.Account{Limited: true, LimitBytes: limit, UsedBytes: used}
}

func ask(write uint64, more int64) quota.Ask {
	return quota.Ask{Key: quota.Key{Session: 1, Write: write}, Tenant: "a", MoreBytes: more}
}

// reserve is Reserve where the answer must be as told.
func reserve(t *testing.T, l *quota.Ledger, a quota.Account, q quota.Ask, fits bool) {
	t.Helper()
	held, err := l.Reserve(a, q, t0)
	if fits {
		require.NoError(t, err)
		return
	}
	require.Equal(t, model.CodeQuotaExceeded, model.CodeOf(err), "%v", err)
	require.False(t, held)
}

func TestReserve_WritesUnderWayTakeTheirRoomBeforeTheyAreCommitted(t *testing.T) {
	l := quota.NewLedger()
	reserve(t, l, account(100, 40), ask(1, 30), true)
	reserve(t, l, account(100, 40), ask(2, 30), true)
	reserve(t, l, account(100, 40), ask(3, 1), false)
	assert.EqualValues(t, 60, l.Reserved("a"))

	l.Release(quota.Key{Session: 1, Write: 2}) // given up
	reserve(t, l, account(100, 40), ask(3, 30), true)
	l.Release(quota.Key{Session: 1, Write: 1}) // committed: now it is in the usage
	reserve(t, l, account(100, 70), ask(4, 1), false)
	l.Release(quota.Key{Session: 1, Write: 9}) // it never had any
	assert.EqualValues(t, 30, l.Reserved("a"))
}

func TestReserve_TheRefusalSaysEveryFigure(t *testing.T) {
	l := quota.NewLedger()
	reserve(t, l, account(100, 40), ask(1, 30), true)
	_, err := l.Reserve(account(100, 40), ask(2, 31), t0)
	var e *model.Error
	require.True(t, errors.As(err, &e))
	assert.Equal(t, map[string]string{"tenant": "a", "limit_bytes": "100", "used_bytes": "40", "reserved_bytes": "30", "asked_bytes": "31"}, e.Details)
	assert.EqualValues(t, 30, l.Reserved("a"), "a refusal reserves nothing")
}

func TestReserve_AWriteThatAsksAgainHasOneHold(t *testing.T) {
	l := quota.NewLedger()
	for range 5 {
		reserve(t, l, account(100, 0), ask(1, 60), true)
	}
	assert.EqualValues(t, 60, l.Reserved("a"))
	reserve(t, l, account(100, 0), ask(1, 100), true) // an upload that grows
	assert.EqualValues(t, 100, l.Reserved("a"))
	reserve(t, l, account(100, 0), ask(1, 101), false) // beyond the limit: the write is refused as a whole
	assert.Zero(t, l.Reserved("a"))
}

func TestReserve_WhatRaisesNothingIsNeverRefused(t *testing.T) {
	l := quota.NewLedger()
	for _, a := range []quota.Account{account(10, 50), account(0, 0), {UsedBytes: 1 << 60}} {
		for _, more := range []int64{0, -5} {
			held, err := l.Reserve(a, ask(1, more), t0)
			require.NoError(t, err)
			assert.False(t, held)
		}
	}
	held, err := l.Reserve(quota.Account{UsedBytes: 1 << 60}, ask(1, 1<<60), t0)
	require.NoError(t, err)
	assert.False(t, held, "without a limit nothing need be reserved")
	reserve(t, l, account(10, 50), ask(1, 1), false)
}

func TestInherit_AnUploadOfAnEarlierMasterCountsOnceWhenItGoesOn(t *testing.T) {
	l := quota.NewLedger()
	l.Inherit(7, "a", 50)
	l.Inherit(8, "a", 20)
	reserve(t, l, account(100, 0), ask(1, 31), false)
	goesOn := ask(1, 60)
	goesOn.Upload = 7
	reserve(t, l, account(100, 0), goesOn, true) // its own 50 and 10 more, not 110
	assert.EqualValues(t, 80, l.Reserved("a"))
	l.Settled(7)
	assert.EqualValues(t, 80, l.Reserved("a"), "its hold is the write's by now")
	l.Settled(8)
	l.Settled(8)
	assert.EqualValues(t, 60, l.Reserved("a"))
	assert.Empty(t, l.Uploads())
}

func TestLedger_HoldsEndWithTheirSessionOrTheirLease(t *testing.T) {
	l := quota.NewLedger()
	for session := range uint64(3) {
		_, err := l.Reserve(account(100, 0), quota.Ask{Key: quota.Key{Session: session, Write: 1}, Tenant: "a", MoreBytes: 10}, t0)
		require.NoError(t, err)
	}
	assert.Equal(t, []uint64{0, 1, 2}, l.Sessions())
	assert.Equal(t, 1, l.SessionGone(1))
	assert.Equal(t, 0, l.SessionGone(1))
	assert.EqualValues(t, 20, l.Reserved("a"))

	_, err := l.Reserve(account(100, 0), quota.Ask{Key: quota.Key{Session: 2, Write: 1}, Tenant: "a", MoreBytes: 10}, t0.Add(time.Minute))
	require.NoError(t, err)
	assert.Equal(t, 0, l.Expire(t0.Add(quota.Lease-1)))
	assert.Equal(t, 1, l.Expire(t0.Add(quota.Lease)), "the one that was heard of since stays")
	assert.EqualValues(t, 10, l.Reserved("a"))
}

// TestLedger_NeverPromisesMoreThanTheLimit plays writers that begin, commit, give up and
// ask again, against a usage that is kept by itself.
func TestLedger_NeverPromisesMoreThanTheLimit(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		l, used, limit := quota.NewLedger(), int64(0), int64(1000)
		under := map[uint64]int64{}
		refused := 0
		for range 400 {
			write := uint64(r.IntN(12))
			switch r.IntN(4) {
			case 0, 1:
				more := int64(r.IntN(200))
				_, err := l.Reserve(account(limit, used), ask(write, more), t0)
				if delete(under, write); err == nil {
					under[write] = more
				} else {
					refused++
				}
			case 2:
				used += under[write]
				fallthrough
			case 3:
				l.Release(quota.Key{Session: 1, Write: write})
				delete(under, write)
			}
			sum := int64(0)
			for _, more := range under {
				sum += more
			}
			require.Equal(t, sum, l.Reserved("a"), "seed %d", seed)
			require.LessOrEqual(t, used+sum, limit, "seed %d", seed)
			if r.IntN(40) == 0 {
				used = 0 // everything is deleted
			}
		}
		require.NotZero(t, refused)
	}
}

func TestCharge_IsTheSizeOrTheSizeTimesTheCopiesThatTheTierWants(t *testing.T) {
	cluster := &messages.ClusterRow{ReplicationFactor: 2, Settings: &messages.Settings{}, Tiers: []*messages.TierRow{{Tier: 2, Copies: 5}}}
	for tier, copies := range map[uint32]int64{1: 3, 2: 5, 3: 1} {
		cluster.Settings.QuotaCountsCopies = false
		assert.EqualValues(t, 100, quota.Charge(cluster, tier, 100))
		cluster.Settings.QuotaCountsCopies = true
		assert.Equal(t, 100*copies, quota.Charge(cluster, tier, 100))
	}
	assert.EqualValues(t, 9, quota.Charge(nil, 1, 9), "a cluster without settings counts bytes")
	assert.EqualValues(t, 7, quota.Charged(&messages.FileRow{SizeBytes: 7}))
	assert.EqualValues(t, 21, quota.Charged(&messages.FileRow{SizeBytes: 7, ChargedBytes: 21}), "as it was settled when it was written")
	assert.Zero(t, quota.Charged(nil))
}
