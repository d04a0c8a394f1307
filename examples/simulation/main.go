package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/messages"
	"tiercel/store"
)

// counter adds one for each request and answers when the sum is durable. One write
// is under way at a time; whoever comes meanwhile goes with the next.
type counter struct {
	file    store.File
	sum     uint64
	waiting []request
	busy    bool
}

type request struct {
	from   *actor.PID
	number uint64
}

// persisted is the result of an Offload: it arrives as a message.
type persisted struct {
	batch []request
	err   error
}

func (c *counter) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *messages.ReadIndex: // any message will do; this one has a request number
		c.sum++
		c.waiting = append(c.waiting, request{ctx.Sender(), m.Header.Request})
		c.flush(ctx)
	case *persisted:
		if m.err != nil {
			ctx.Runtime().Halt(m.err)
			return
		}
		for _, r := range m.batch { // persist, then send
			ctx.Send(r.from, &messages.ReadIndexReply{Header: &messages.Header{Request: r.number}})
		}
		c.busy = false
		c.flush(ctx)
	}
}

func (c *counter) flush(ctx *runtime.Context) {
	if c.busy || len(c.waiting) == 0 {
		return
	}
	batch, file, sum := c.waiting, c.file, c.sum
	c.waiting, c.busy = nil, true
	ctx.Offload(func() any { // never block in Receive
		_, err := file.WriteAt(binary.LittleEndian.AppendUint64(nil, sum), 0)
		return &persisted{batch: batch, err: errors.Join(err, file.Sync())}
	})
}

// boot runs at the first start and after every crash, on what the disk kept.
func boot(rt runtime.Runtime) error {
	file, err := rt.FS().Open("sum")
	if errors.Is(err, fs.ErrNotExist) {
		if file, err = rt.FS().Create("sum"); err == nil {
			err = rt.FS().SyncDir(".")
		}
	}
	if err != nil {
		return err
	}
	c := &counter{file: file}
	var b [8]byte
	if n, _ := file.ReadAt(b[:], 0); n == 8 {
		c.sum = binary.LittleEndian.Uint64(b[:])
	}
	_, err = rt.SpawnRoot("counter", func() runtime.Actor { return c })
	return err
}

// client asks again every 20 ms and counts the answers.
type client struct {
	to       *actor.PID
	answered *int
	next     uint64
}

type due struct{}

func (c *client) Receive(ctx *runtime.Context, msg any) {
	switch msg.(type) {
	case *actor.Started, due:
		c.next++
		ctx.Request(c.to, &messages.ReadIndex{Header: &messages.Header{Request: c.next}})
		ctx.After(20*time.Millisecond, due{})
	case *messages.ReadIndexReply:
		*c.answered++
	}
}

func main() {
	seed := flag.Uint64("seed", 1, "everything random comes from it")
	flag.Parse()
	world := sim.NewWorld(*seed, sim.Options{})
	node := world.AddNode("server", store.NewMemFS(*seed), 1, boot)
	answered := 0
	rt := world.Client("client").Runtime()
	if _, err := rt.SpawnRoot("client", func() runtime.Actor {
		return &client{to: rt.Peer("server", "counter"), answered: &answered}
	}); err != nil {
		log.Fatal(err)
	}
	world.Run(time.Second)
	node.Crash(true) // power loss: what was not synced is dropped or torn
	world.Run(200 * time.Millisecond)
	node.Restart()
	world.Run(time.Second)

	file, err := node.FS().OpenReadOnly("sum")
	if err != nil {
		log.Fatal(err)
	}
	var b [8]byte
	if _, err := file.ReadAt(b[:], 0); err != nil {
		log.Fatal(err)
	}
	sum := binary.LittleEndian.Uint64(b[:])
	fmt.Printf("seed %d: %d answered, %d counted, trace %016x\n", *seed, answered, sum, world.TraceHash())
	if sum < uint64(answered) {
		log.Fatal("an answered count was lost")
	}
}
