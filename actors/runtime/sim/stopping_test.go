package sim_test

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/messages"
)

// Protoactor delivers messages to an actor that waits for its children to stop. A
// child that it would spawn then is one that nobody stops.
func TestStop_AnActorThatIsBeingStoppedStartsNothingMore(t *testing.T) {
	for seed := range uint64(50) {
		w := sim.NewWorld(seed, sim.Options{})
		node := w.Client("n-a")
		late, ended := false, false
		leaf := always(func(*runtime.Context, any) {})
		middle := always(func(ctx *runtime.Context, msg any) {
			if _, ok := msg.(*actor.Started); ok {
				ctx.Spawn("leaf", leaf)
			}
		})
		parent := always(func(ctx *runtime.Context, msg any) {
			switch msg.(type) {
			case *actor.Started:
				ctx.Spawn("middle", middle)
			case *messages.Stat:
				late = true
				ctx.Spawn("another", leaf)
			}
		})
		_, err := node.Runtime().SpawnRoot("root", always(func(ctx *runtime.Context, msg any) {
			switch m := msg.(type) {
			case *actor.Started:
				pid := ctx.Spawn("parent", parent)
				ctx.After(time.Second, pid)
			case *actor.PID:
				ctx.Stop(m)
				for range 3 {
					ctx.Send(m, &messages.Stat{})
				}
			case *actor.Terminated:
				ended = true
			}
		}))
		require.NoError(t, err)
		w.Run(3 * time.Second)
		assert.True(t, ended, "seed %d: it hangs", seed)
		assert.False(t, late, "seed %d: it went on", seed)
	}
}
