package runtime

import (
	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
)

// TakeOver gives a fresh actor system an event stream of ours. Protoactor's
// own subscribers answer a request to a dead actor with a message that no actor
// of ours expects, and count dead letters with goroutines and the wall clock.
// What must stay does: a Watch of an actor that does not exist is answered.
// onDeadLetter, which may be nil, hears of every other one that has a sender.
func TakeOver(system *actor.ActorSystem, counters *Counters, onDeadLetter func(*actor.DeadLetterEvent)) {
	system.EventStream = eventstream.NewEventStream()
	system.EventStream.Subscribe(func(event any) {
		dead, ok := event.(*actor.DeadLetterEvent)
		if !ok {
			return
		}
		switch m := dead.Message.(type) {
		case *actor.Watch:
			notFound(system, dead.PID, m.Watcher)
		case *timer, *restartChild:
			counters.StaleTimers.Add(1)
		case *offloaded:
			counters.StaleResults.Add(1)
		case actor.SystemMessage:
			// To an actor that ended a moment ago: nothing is lost.
		default:
			counters.DeadLetters.Add(1)
			if onDeadLetter != nil && dead.Sender != nil {
				onDeadLetter(dead)
			}
		}
	})
}

// notFound answers a Watch of an actor that does not exist.
func notFound(system *actor.ActorSystem, who, watcher *actor.PID) {
	if watcher == nil {
		return
	}
	if process, ok := system.ProcessRegistry.Get(watcher); ok {
		process.SendSystemMessage(watcher, &actor.Terminated{Who: who, Why: actor.TerminatedReason_NotFound})
	}
}
