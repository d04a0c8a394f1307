package conformance

import (
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// Cluster is two nodes, A and B, that know each other.
type Cluster interface {
	A() runtime.Host
	B() runtime.Host
	// Until lets time pass until cond holds, and fails the test when it does not
	// come to hold. cond may be called on any goroutine, one at a time.
	Until(cond func() bool)
	// LoseB ends node B abruptly.
	LoseB()
	// Halted is why A has halted, or nil.
	Halted() error
}

// Run runs every scenario on a fresh cluster each.
func Run(t *testing.T, start func(t *testing.T) Cluster) {
	for _, s := range []struct {
		name string
		run  func(t *testing.T, c Cluster)
	}{
		{"requests and replies cross nodes in order", requestsAndReplies},
		{"a message without sender has none to reply to", sendWithoutSender},
		{"a timer fires once, a stopped one never", timers},
		{"an offloaded result arrives as a message", offloads},
		{"a restart keeps the mailbox and the PID", restartKeepsMailbox},
		{"timers and results of an earlier incarnation are dropped", staleIsDropped},
		{"a panic in offloaded work fails the actor", offloadedPanic},
		{"children live under their parent and end with it", children},
		{"a taken child name panics", takenName},
		{"a child that is stopped during its back-off stays stopped", stopDuringBackoff},
		{"a panic while ending does not keep an actor from ending", panicWhileEnding},
		{"exhausted restarts escalate to the parent", escalation},
		{"exhausted restarts at the root halt the node", rootHalts},
		{"a watched actor's stop is heard on the other node", watchStop},
		{"a watch of an actor that does not exist is answered", watchNothing},
		{"a watch of a lost node is answered", watchLostNode},
		{"an envelope of unknown type is dropped and counted", unknownEnvelope},
		{"an oversize message is refused and the next one arrives", oversize},
		{"large messages take the bulk lane, both ways and in order", bulkLane},
		{"an older incarnation of a node is not heard any more", olderIncarnation},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t, start(t)) })
	}
}

// scripted is an actor that is a function.
type scripted func(ctx *runtime.Context, msg any)

// Receive implements runtime.Actor.
func (f scripted) Receive(ctx *runtime.Context, msg any) { f(ctx, msg) }

func always(f scripted) runtime.Producer { return func() runtime.Actor { return f } }

// notes is what actors leave for the test to see.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, s)
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.list...)
}

func (n *notes) has(s string) bool { return n.count(s) > 0 }

func (n *notes) count(s string) (found int) {
	for _, have := range n.all() {
		if have == s {
			found++
		}
	}
	return found
}

// say is the message of these scenarios: a word.
func say(word string) *messages.Stat { return &messages.Stat{Path: word} }

func spawn(t *testing.T, on runtime.Host, name string, p runtime.Producer) *actor.PID {
	t.Helper()
	pid, err := on.SpawnRoot(name, p)
	require.NoError(t, err)
	return pid
}

// connected makes A and B speak to each other on both lanes, either way. What is sent
// before there is a connection is lost where making one takes long; after this it is not.
func connected(t *testing.T, c Cluster) {
	t.Helper()
	spawn(t, c.B(), "door", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *messages.Stat:
			ctx.Reply(&messages.StatReply{})
		case *messages.Put:
			ctx.ReplyBulk(&messages.Put{Header: m.Header})
		}
	}))
	var heard notes
	both := func() bool { return heard.has("reply") && heard.has("bulk reply") }
	spawn(t, c.A(), "visitor", always(func(ctx *runtime.Context, msg any) {
		switch msg.(type) {
		case *actor.Started, string:
			if !both() {
				door := ctx.Runtime().Peer(c.B().Node(), "door")
				ctx.Request(door, say("knock"))
				ctx.RequestBulk(door, &messages.Put{Header: &messages.Header{}})
				ctx.After(50*time.Millisecond, "again")
			}
		case *messages.StatReply:
			heard.add("reply")
		case *messages.Put:
			heard.add("bulk reply")
		}
	}))
	c.Until(both)
}

// tell sends a word to a local actor from outside.
func tell(on runtime.Host, path, word string) {
	on.System().Root.Send(on.Local(path), say(word))
}
