package live_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/live"
	"tiercel/messages"
)

// record is a dispatcher that runs nothing until it is asked, and an invoker that notes
// what it is given.
type record struct {
	scheduled []func()
	got       []any
}

func (r *record) Schedule(fn func())         { r.scheduled = append(r.scheduled, fn) }
func (r *record) Throughput() int            { return 10 }
func (r *record) InvokeSystemMessage(m any)  { r.got = append(r.got, m) }
func (r *record) InvokeUserMessage(m any)    { r.got = append(r.got, m) }
func (r *record) EscalateFailure(why, _ any) { r.got = append(r.got, why) }

func TestMailbox_KeepsWhatComesBeforeItsActorHasStarted(t *testing.T) {
	m, r := live.NewMailbox(), &record{}
	watch := &actor.Watch{}
	m.PostUserMessage("early")
	m.PostSystemMessage(watch)
	m.RegisterHandlers(r, r)
	m.PostUserMessage("a little early")
	started := &actor.Started{}
	m.PostSystemMessage(started)
	m.Start()
	m.PostUserMessage("late")
	for len(r.scheduled) > 0 {
		next := r.scheduled[0]
		r.scheduled = r.scheduled[1:]
		next()
	}
	assert.Equal(t, []any{started, watch, "early", "a little early", "late"}, r.got)
}

// A node's catalog spoke to its member while that was being made, panicked, and the
// member was deaf: seen once in a CI run, as a cluster of five with one voter.
func TestSpawn_WhoIsSpokenToWhileItIsMadeHears(t *testing.T) {
	n := start(t, live.Config{Node: "n-a"})
	for i := range 300 {
		name, heard, end := fmt.Sprintf("a%d", i), make(chan struct{}, 1), make(chan struct{})
		ended := make(chan struct{})
		spawn(t, n, "caller-"+name, always(func(ctx *runtime.Context, msg any) {
			if _, ok := msg.(*actor.Started); !ok {
				return
			}
			go func() {
				defer close(ended)
				for {
					select {
					case <-end:
						return
					default:
						n.System().Root.Send(n.Local(name), &messages.MasterReady{})
					}
				}
			}()
		}))
		spawn(t, n, name, always(func(_ *runtime.Context, msg any) {
			if _, ok := msg.(*messages.MasterReady); ok {
				select {
				case heard <- struct{}{}:
				default:
				}
			}
		}))
		select {
		case <-heard:
		case <-time.After(patience):
			require.Fail(t, "the actor is deaf")
		}
		close(end)
		<-ended
	}
}
