package live

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// The bulk lane is a gRPC stream on a connection of its own to each peer: bodies
// never stand before heartbeats and log messages. The server's end is the same
// port, so the same TLS and the same limits.
const (
	bulkMethod      = "/tiercel.v1.Bulk/Carry"
	bulkWindowBytes = 4 << 20 // of HTTP/2 flow control, per stream
	// bulkQueueBytes may wait for one peer; what is sent beyond is dropped.
	bulkQueueBytes = 128 << 20
	// bulkSendTimeout ends a stream on which nothing moves.
	bulkSendTimeout = 20 * time.Second
)

// bulks are the lanes by address.
type bulks struct {
	mu     sync.Mutex
	byAddr map[string]*bulkLane
	ended  bool
	paused atomic.Int32 // lanes that wait for a back-off to end
	wg     sync.WaitGroup
}

// bulkLane carries messages to one peer, in order; one goroutine writes.
type bulkLane struct {
	node    *Node
	address string
	mu      sync.Mutex
	queue   []*messages.BulkFrame
	bytes   int
	wake    chan struct{}
	back    chan struct{} // the peer was heard while there is a back-off
	cancel  context.CancelFunc
	up      atomic.Bool // there is a connection, as far as is known
}

// SendBulk implements runtime.Host.
func (n *Node) SendBulk(to, sender *actor.PID, msg proto.Message) {
	if n.remote == nil || to.Address == "" || n.silent.Load() {
		n.countDrop(&n.counters.UnreachablePeers, to.Address, "no network or no address")
		return
	}
	envelope, err := runtime.SealBulk(n, msg)
	if err != nil {
		runtime.Refuse(n, to, err)
		return
	}
	frame := &messages.BulkFrame{Target: to.Id, Envelope: envelope}
	if sender != nil {
		frame.SenderAddress, frame.SenderPath = sender.Address, sender.Id
	}
	if l := n.bulkLane(to.Address); l == nil || !l.push(frame) {
		n.countDrop(&n.counters.LinkOverflows, to.Address, "its bulk lane does not keep up")
	}
}

// bulkLane returns the lane to an address, nil when the node is stopping.
func (n *Node) bulkLane(address string) *bulkLane {
	b := &n.bulks
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil
	}
	if l := b.byAddr[address]; l != nil {
		return l
	}
	if b.byAddr == nil {
		b.byAddr = make(map[string]*bulkLane)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &bulkLane{node: n, address: address, wake: make(chan struct{}, 1), back: make(chan struct{}, 1), cancel: cancel}
	b.byAddr[address] = l
	b.wg.Go(func() { l.run(ctx) })
	return l
}

func (l *bulkLane) push(f *messages.BulkFrame) bool {
	size := len(f.Envelope.Payload)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes+size > bulkQueueBytes {
		return false
	}
	l.bytes += size
	l.queue = append(l.queue, f)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

func (l *bulkLane) pop() *messages.BulkFrame {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil
	}
	f := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	l.bytes -= len(f.Envelope.Payload)
	return f
}

// drop loses everything that waits, as a broken connection does.
func (l *bulkLane) drop(why string) {
	for l.pop() != nil {
		l.node.countDrop(&l.node.counters.UnreachablePeers, l.address, why)
	}
}

// run writes until the node stops; a connection that breaks is made again.
func (l *bulkLane) run(ctx context.Context) {
	backoff := firstRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := l.connected(ctx)
		if ctx.Err() != nil {
			return
		}
		l.drop("its bulk connection broke: " + status.Convert(err).Message())
		l.up.Store(false)
		if time.Since(began) > longestRetry {
			backoff = firstRetry
		}
		l.node.bulks.paused.Add(1)
		select {
		case <-time.After(backoff):
			backoff = min(2*backoff, longestRetry)
		case <-l.back:
			backoff = firstRetry
			time.Sleep(max(0, firstRetry-time.Since(began)))
		case <-ctx.Done():
		}
		l.node.bulks.paused.Add(-1)
	}
}

// connected serves one connection to its end.
func (l *bulkLane) connected(ctx context.Context) error {
	f := l.next(ctx)
	if f == nil {
		return ctx.Err()
	}
	conn, err := grpc.NewClient(l.address, append(l.node.plainDialOptions(), grpc.WithInitialWindowSize(bulkWindowBytes))...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it is not used any more
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(connectTimeout, cancel)
	defer watchdog.Stop()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, bulkMethod)
	if err != nil {
		return err
	}
	l.up.Store(true)
	// The peer says nothing on this stream; only its end is awaited. Else a connection
	// that broke while nothing was sent would swallow the next message.
	go func() {
		_ = stream.RecvMsg(&messages.BulkFrame{})
		cancel()
	}()
	for f != nil {
		watchdog.Reset(bulkSendTimeout)
		if err := stream.SendMsg(f); err != nil {
			return err
		}
		watchdog.Stop()
		f = l.next(stream.Context())
	}
	return stream.Context().Err()
}

// next waits for a frame; nil when ctx ends.
func (l *bulkLane) next(ctx context.Context) *messages.BulkFrame {
	for {
		if f := l.pop(); f != nil {
			return f
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// isBack ends the back-off of the lane to an address, if there is one.
func (b *bulks) isBack(address string) {
	if b.paused.Load() == 0 {
		return // as almost always; this is asked for every message
	}
	b.mu.Lock()
	l := b.byAddr[address]
	b.mu.Unlock()
	if l != nil {
		select {
		case l.back <- struct{}{}:
		default:
		}
	}
}

// stopBulk ends every lane and waits for its goroutine.
func (n *Node) stopBulk() {
	b := &n.bulks
	b.mu.Lock()
	b.ended = true
	for _, l := range b.byAddr {
		l.cancel()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

// carry implements grpc.StreamHandler for the bulk lane, the only service beside
// protoactor's.
func (n *Node) carry(_ any, stream grpc.ServerStream) error {
	if method, _ := grpc.MethodFromServerStream(stream); method != bulkMethod {
		return status.Error(codes.Unimplemented, "not offered")
	}
	for {
		f := &messages.BulkFrame{}
		if err := stream.RecvMsg(f); err != nil {
			return err
		}
		if infrastructure(f.Target) || f.Envelope == nil || f.SenderAddress == n.system.Address() {
			n.countDrop(&n.counters.RefusedFrames, f.SenderAddress, "bulk frame to "+f.Target)
			continue
		}
		process, _ := n.system.ProcessRegistry.GetLocal(f.Target) // the dead letters, when there is none
		pid := n.system.NewLocalPID(f.Target)
		if f.SenderAddress == "" {
			process.SendUserMessage(pid, f.Envelope)
			continue
		}
		process.SendUserMessage(pid, &actor.MessageEnvelope{Message: f.Envelope, Sender: actor.NewPID(f.SenderAddress, f.SenderPath)})
	}
}
