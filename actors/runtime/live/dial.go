package live

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"tiercel/cluster/model"
)

// dialOptions are those of every connection to a peer.
func (n *Node) dialOptions() []grpc.DialOption {
	return append(n.plainDialOptions(), grpc.WithStreamInterceptor(n.dial))
}

// plainDialOptions are those without what protoactor needs to be shielded from.
func (n *Node) plainDialOptions() []grpc.DialOption {
	var secret credentials.TransportCredentials = insecure.NewCredentials()
	if n.config.TLS != nil {
		secret = currentTLS{n.config.TLS}
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(secret),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveInterval, Timeout: keepaliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstRetry, Multiplier: 2, Jitter: 0.2, MaxDelay: longestRetry},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(maxFrameBytes), grpc.MaxCallRecvMsgSize(frameOverhead)),
	}
}

// dial implements grpc.StreamClientInterceptor. Protoactor sleeps for two
// seconds in the writer when a connection fails, waits for ever for a peer that
// accepts and says nothing, and does not notice a stream that ends in good order.
// So a failure is shown to it as a connection that was made and then lost.
func (n *Node) dial(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	l := n.link(cc.Target())
	ctx, cancel := context.WithCancel(ctx)
	l.connecting(cancel)
	s := &outStream{node: n, link: l, ctx: ctx, cancel: cancel, watchdog: time.AfterFunc(connectTimeout, cancel)}
	if n.silent.Load() {
		cancel()
	}
	s.stream, s.broken = streamer(ctx, desc, cc, method, opts...)
	return s, nil
}

// outStream is the stream to a peer. Receiving is one goroutine, sending another.
type outStream struct {
	node     *Node
	link     *link
	ctx      context.Context
	cancel   context.CancelFunc
	watchdog *time.Timer
	stream   grpc.ClientStream // nil when broken from the start
	broken   error             // written before the writer's goroutine starts the reader's
	greeted  bool
}

// RecvMsg implements grpc.ClientStream.
func (s *outStream) RecvMsg(m any) error {
	if !s.greeted {
		s.greeted = true
		s.greet(m)
		return nil
	}
	err := s.broken
	if err == nil {
		if err = s.stream.RecvMsg(m); err == nil {
			return nil
		}
	}
	if errors.Is(err, io.EOF) {
		err = model.Errorf(model.CodeUnavailable, "receive", "the peer %s closed the connection", s.link.address)
	}
	backoff := s.node.linkLost(s.link, err)
	if s.broken != nil {
		// Not at once: protoactor, still busy with the connection's beginning, would
		// make a new one.
		select {
		case <-time.After(backoff):
		case <-s.link.back:
		case <-s.ctx.Done():
		}
	}
	s.cancel()
	return err
}

// greet waits for the peer's first message. When it does not come, protoactor
// gets one all the same.
func (s *outStream) greet(m any) {
	if s.broken == nil {
		s.broken = s.stream.RecvMsg(m)
	}
	if s.broken == nil && !s.watchdog.Stop() {
		s.broken = context.DeadlineExceeded
	}
	if s.broken == nil {
		s.node.linkUp(s.link)
		return
	}
	s.watchdog.Stop()
	if message, ok := m.(*remote.RemoteMessage); ok {
		message.MessageType = &remote.RemoteMessage_ConnectResponse{ConnectResponse: &remote.ConnectResponse{}}
	}
}

// SendMsg implements grpc.ClientStream.
func (s *outStream) SendMsg(m any) error {
	if message, ok := m.(*remote.RemoteMessage); ok {
		size := 0
		for _, e := range message.GetMessageBatch().GetEnvelopes() {
			size += len(e.GetMessageData())
		}
		defer s.link.written(size)
	}
	switch {
	case s.broken != nil:
		return nil // lost, as a network loses it
	case !s.greeted:
		s.broken = s.stream.SendMsg(m) // told when the greeting is awaited
		return nil
	}
	return s.stream.SendMsg(m)
}

// CloseSend implements grpc.ClientStream.
func (s *outStream) CloseSend() error {
	if s.stream == nil {
		return nil
	}
	return s.stream.CloseSend()
}

// Header implements grpc.ClientStream.
func (s *outStream) Header() (metadata.MD, error) { return nil, s.broken }

// Trailer implements grpc.ClientStream.
func (s *outStream) Trailer() metadata.MD { return nil }

// Context implements grpc.ClientStream.
func (s *outStream) Context() context.Context { return s.ctx }
