package member

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

func TestMember_GivesTheWorkerTheNewestSettingsAndTellsThemAgain(t *testing.T) {
	w := newTold(t, "a")
	rt := w.nodes["a"].Runtime()
	var heard []uint64
	_, err := rt.SpawnRoot("worker", func() runtime.Actor {
		return scripted(func(_ *runtime.Context, msg any) {
			if s, ok := msg.(*messages.SettingsChanged); ok {
				heard = append(heard, s.Settings.GetVersion())
			}
		})
	})
	require.NoError(t, err)
	say := func(settings *messages.Settings, rounds int) {
		for range rounds {
			rt.(runtime.Host).System().Root.Send(rt.Local("member"), &messages.MasterReady{
				Node: "m", Address: "m", EpochGeneration: 1, EpochTerm: 1, Ready: true, Cluster: &messages.ClusterRow{ClusterId: "c", Generation: 1, Settings: settings},
			})
			w.world.Run(time.Second)
		}
	}
	say(nil, 3)
	assert.Equal(t, []uint64{0}, heard)
	say(&messages.Settings{Version: 7}, 3)
	assert.Equal(t, []uint64{0, 7}, heard)
	say(&messages.Settings{Version: 7}, 15)
	assert.Equal(t, []uint64{0, 7, 7}, heard, "it may have been restarted")
	say(&messages.Settings{Version: 9}, 1)
	assert.Equal(t, []uint64{0, 7, 7, 9}, heard)
}
