package volumes_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/volumes"
	"tiercel/messages"
)

func TestHolders_AreThoseWhoseWordDecidesSomething(t *testing.T) {
	members := func(list ...*messages.VolumeMember) func(*messages.VolumeRow) {
		return func(r *messages.VolumeRow) { r.Members = list }
	}
	in := func(s messages.VolumeState) func(*messages.VolumeRow) {
		return func(r *messages.VolumeRow) { r.State = s }
	}
	whole, unknown := &messages.VolumeMember{Node: "whole", Verified: true}, &messages.VolumeMember{Node: "unknown"}
	for _, c := range []struct {
		what string
		row  *messages.VolumeRow
		want []string
	}{
		{"an open volume", row(members(whole, unknown)), []string{"unknown", "whole"}},
		{"a sealed one", row(members(whole, unknown), in(messages.VolumeState_SEALED)), []string{"unknown"}},
		{"one on its way out", row(members(whole, unknown), in(messages.VolumeState_RETIRING)), nil},
	} {
		got := slices.Sorted(maps.Keys(volumes.Holders([]*messages.VolumeRow{c.row})))
		assert.Equal(t, c.want, got, c.what)
	}
	assert.Empty(t, volumes.Holders(nil))
}
