package runtime

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
)

// Host is what live and sim implement for the Shell, beyond what actors see.
type Host interface {
	Runtime
	System() *actor.ActorSystem
	// Rand is a random number, seeded in simulation.
	Rand() uint64
	// StartTimer calls fire once after d on the node's clock; cancel prevents it
	// when it has not begun, and is idempotent.
	StartTimer(d time.Duration, fire func()) (cancel func())
	// Offload runs work where it may block, then done; done may be called on any
	// goroutine.
	Offload(work func() any, done func(result any, failure *WorkPanic))
	// SendBulk sends to an actor of another node on the bulk lane; sender may be nil.
	// It never blocks; what does not fit into the lane's queue is lost and counted.
	SendBulk(to, sender *actor.PID, msg proto.Message)
	// PropsOptions are the dispatcher and the mailbox of every actor.
	PropsOptions() []actor.PropsOption
	// Admit reports whether a message of this incarnation of a node may still be
	// delivered: not when a later one was heard.
	Admit(origin model.NodeID, incarnation uint64) bool
	Counters() *Counters
}

// WorkPanic is a panic in the function given to Offload, with its stack.
type WorkPanic struct {
	Value any
	Stack []byte
}

// Error renders the panic value for the log.
func (p *WorkPanic) Error() string { return fmt.Sprintf("offloaded work panicked: %v", p.Value) }

// RunWork calls work and catches its panic.
func RunWork(work func() any) (result any, failure *WorkPanic) {
	defer func() {
		if r := recover(); r != nil {
			if unwinding, ok := r.(Unwind); ok {
				panic(unwinding)
			}
			failure = &WorkPanic{Value: r, Stack: debug.Stack()}
		}
	}()
	return work(), nil
}

// Unwind is the panic with which a simulated Halt leaves the code that called
// it. Nobody handles it but the simulator.
type Unwind struct{ Node model.NodeID }

// timer is a pending After, and the message that its firing sends.
type timer struct {
	shell   *Shell
	msg     any
	cancel  func()
	stopped bool // written and read by the actor only
}

// Stop implements Timer.
func (t *timer) Stop() {
	t.stopped = true
	t.cancel()
}

// offloaded is the message that carries the result of an Offload.
type offloaded struct {
	shell   *Shell
	result  any
	failure *WorkPanic
}

// restartChild is sent by a supervisor to itself when the back-off is over.
type restartChild struct {
	shell *Shell
	child *supervised
}
