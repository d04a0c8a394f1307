package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestReadExtent_WhatTheLogCallsLostIsCorruptAndNobodyIsAsked(t *testing.T) {
	c := &Client{}
	e := &messages.Extent{Volume: 3, Offset: 100, RecordBytes: 50, BodyBytes: 10}
	for _, lost := range []*messages.LostRange{{From: 0, To: 101}, {From: 149, To: 900}} {
		c.holders.learn([]*messages.VolumeRow{{Id: 3, Lost: []*messages.LostRange{lost}}})
		_, err := c.ReadExtent(t.Context(), e, 0, 10, nil)
		assert.Equal(t, model.CodeCorrupt, model.CodeOf(err))
	}
}

func TestUnreadable_IsCorruptOnlyWhenEveryCopyIsDamaged(t *testing.T) {
	damaged := model.Errorf(model.CodeCorrupt, "read", "damaged")
	behind := model.Errorf(model.CodeUnavailable, "read", "behind").With(model.DetailReason, model.ReasonBehind)
	away := model.Errorf(model.CodeDeadlineExceeded, "ask", "no answer")
	for _, c := range []struct {
		a, b error
		code model.Code
		said string
	}{
		{damaged, damaged, model.CodeCorrupt, "every copy of a piece of the file is damaged (volume 3 on n-1, n-2); delete the file or store it again"},
		{damaged, away, model.CodeUnavailable, "a piece of the file is on n-2, which cannot be reached now (volume 3); it can be read again when that worker is back"},
		{away, behind, model.CodeUnavailable, "a piece of the file is on n-1, which cannot be reached now"},
		{away, away, model.CodeUnavailable, "a piece of the file is on n-1 or n-2, which"},
		{behind, behind, model.CodeUnavailable, "no copy of a piece of the file is whole at the moment (volume 3): n-1, n-2 behind"},
		{damaged, behind, model.CodeUnavailable, "no copy of a piece of the file is whole at the moment (volume 3): n-2 behind"},
	} {
		err := unreadable(&messages.Extent{Volume: 3}, []string{"n-1", "n-2"}, failures{"n-1": c.a, "n-2": c.b})
		assert.Equal(t, c.code, model.CodeOf(err), c.said)
		assert.Contains(t, err.Error(), c.said)
	}
}
