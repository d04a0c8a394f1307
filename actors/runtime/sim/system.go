package sim

import (
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	cmap "github.com/orcaman/concurrent-map"
)

// pattern is the one actor system that protoactor made. Making one costs
// milliseconds and megabytes, nearly all of it for a process registry of 1024
// concurrent maps, so the others are copies of it with small parts of their own.
var pattern = sync.OnceValue(func() *actor.ActorSystem {
	return actor.NewActorSystem(
		actor.WithDeadLetterThrottleInterval(365*24*time.Hour),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
	)
})

// newSystem makes an actor system that shares nothing changeable with another.
func newSystem(address string, incarnation uint64, resolve actor.AddressResolver) *actor.ActorSystem {
	system := *pattern()
	system.ID = address
	system.ProcessRegistry = &actor.ProcessRegistryValue{
		ActorSystem: &system,
		Address:     address,
		LocalPIDs:   &actor.SliceMap{LocalPIDs: []cmap.ConcurrentMap{cmap.New()}},
		// So that no generated name is one of an earlier incarnation.
		SequenceID: incarnation << 32,
	}
	system.ProcessRegistry.RegisterAddressResolver(resolve)
	system.Root = actor.NewRootContext(&system, actor.EmptyMessageHeader)
	system.Guardians = actor.NewGuardians(&system)
	system.EventStream = eventstream.NewEventStream()
	system.DeadLetter = actor.NewDeadLetter(&system)
	return &system
}
