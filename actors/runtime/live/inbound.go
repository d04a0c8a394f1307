package live

import (
	"context"
	"fmt"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
)

// startRemote binds the RPC address and begins to hear peers.
func (n *Node) startRemote() (err error) {
	host, port, err := splitAddress(n.config.RPC)
	if err != nil {
		return err
	}
	options := []remote.ConfigOption{
		remote.WithEndpointWriterBatchSize(batchMessages),
		remote.WithEndpointWriterQueueSize(queueMessages),
		remote.WithDialOptions(n.dialOptions()...),
		remote.WithServerOptions(n.serverOptions()...),
	}
	if n.config.Advertise != "" {
		options = append(options, remote.WithAdvertisedHost(n.config.Advertise))
	}
	config := remote.Configure(host, port, options...)
	config.MaxRetryCount = 1
	n.remote = remote.NewRemote(n.system, config)
	defer func() {
		if r := recover(); r != nil {
			err = model.Errorf(model.CodeUnavailable, "start node", "the RPC address %s cannot be used: %v; free it or choose another", n.config.RPC, r)
		}
	}()
	n.remote.Start()
	return nil
}

func (n *Node) serverOptions() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxFrameBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxStreamHeaderBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveInterval, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveInterval / 2, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(refuseUnary),
		grpc.UnknownServiceHandler(n.carry),
		grpc.InitialWindowSize(bulkWindowBytes),
		grpc.InitialConnWindowSize(2 * bulkWindowBytes),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return handler(srv, &inStream{stream, n})
		}),
	}
	if n.config.TLS != nil {
		options = append(options, grpc.Creds(currentTLS{n.config.TLS}))
	}
	return options
}

// refuseUnary implements grpc.UnaryServerInterceptor: protoactor answers its
// two unary calls with a panic that would end the process.
func refuseUnary(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
	return nil, status.Error(codes.Unimplemented, "not offered")
}

// inStream is the stream from a peer; what it lets through cannot harm.
type inStream struct {
	grpc.ServerStream
	node *Node
}

// RecvMsg implements grpc.ServerStream.
func (s *inStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if message, ok := m.(*remote.RemoteMessage); ok {
		s.node.screen(message.GetMessageBatch())
	}
	return nil
}

const (
	envelopeType   = "tiercel.v1.Envelope"
	watchType      = "actor.Watch"
	terminatedType = "actor.Terminated"
)

// screen keeps of a batch what a peer may send: envelopes and watches to actors
// of ours. Protoactor itself would crash on an unknown type, an index out of
// range or a message to its guardian, would stop any actor, and would relay to
// other nodes. What is said in this node's own name is not from it.
func (n *Node) screen(b *remote.MessageBatch) {
	if b == nil {
		return
	}
	for _, target := range b.Targets {
		target.Address = n.system.Address()
	}
	kept := b.Envelopes[:0]
	for _, e := range b.Envelopes {
		deliver, err := n.screenOne(b, e)
		if err != nil {
			n.countDrop(&n.counters.RefusedFrames, "", err.Error())
			continue
		}
		if deliver {
			kept = append(kept, e)
		}
	}
	b.Envelopes = kept
}

// screenOne reports whether protoactor shall deliver e; an error says why it is refused.
func (n *Node) screenOne(b *remote.MessageBatch, e *remote.MessageEnvelope) (deliver bool, err error) {
	within := func(i int32, length int) bool { return i >= 0 && int(i) < length }
	if !within(e.TypeId, len(b.TypeNames)) || !within(e.Target, len(b.Targets)) || !within(e.Sender, len(b.Senders)+1) || e.SerializerId != 0 {
		return false, fmt.Errorf("malformed frame")
	}
	if e.Sender > 0 && b.Senders[e.Sender-1].GetAddress() == n.system.Address() {
		return false, fmt.Errorf("message in the name of this node")
	}
	e.MessageHeader = nil
	target := b.Targets[e.Target].Id
	if infrastructure(target) {
		return false, fmt.Errorf("message to %s", target)
	}
	switch name := b.TypeNames[e.TypeId]; name {
	case envelopeType:
		return true, nil
	case watchType:
		var m actor.Watch
		if err := proto.Unmarshal(e.MessageData, &m); err != nil || m.Watcher == nil {
			return false, fmt.Errorf("malformed watch")
		}
		return true, nil
	case terminatedType:
		var m actor.Terminated
		if err := proto.Unmarshal(e.MessageData, &m); err != nil || m.Who == nil {
			return false, fmt.Errorf("malformed end of watch")
		}
		n.watchAnswered(target, &m)
		return false, nil
	default:
		return false, fmt.Errorf("frame of type %q", name)
	}
}

// infrastructure reports whether a path is one of protoactor's own.
func infrastructure(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	switch first {
	case "activator", "EndpointSupervisor", "eventstream", "deadletter":
		return true
	}
	return strings.HasPrefix(first, "guardian$") || strings.HasPrefix(first, "$") || strings.HasPrefix(first, "Remote$")
}
