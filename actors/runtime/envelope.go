package runtime

import (
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// MaxMessageBytes is the largest message that travels between nodes, as an
// Envelope's payload. Log entries are capped at half of it; bulk bytes go beside
// the mailboxes.
const MaxMessageBytes = 1 << 20

// MaxBulkBytes is the largest message of the bulk lane.
const MaxBulkBytes = 32 << 20

// Seal wraps msg for another node. It refuses (too_large) what the transport
// would lose, and (invalid_argument) what it must not carry.
func Seal(rt Runtime, msg any) (*messages.Envelope, error) { return seal(rt, msg, MaxMessageBytes) }

// SealBulk is Seal for the bulk lane.
func SealBulk(rt Runtime, msg any) (*messages.Envelope, error) { return seal(rt, msg, MaxBulkBytes) }

func seal(rt Runtime, msg any, limit int) (*messages.Envelope, error) {
	const op = "send to another node"
	m, ok := msg.(proto.Message)
	if !ok {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "a %s is not a protobuf message; only those travel between nodes", goTypeName(msg))
	}
	name := m.ProtoReflect().Descriptor().FullName()
	if !travels(name) {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%s is not a message between nodes", name)
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%s cannot be encoded: %w", name, err)
	}
	if len(payload) > limit {
		return nil, model.Errorf(model.CodeTooLarge, op, "%s has %d bytes; at most %d travel between nodes, send less at a time", name, len(payload), limit)
	}
	return &messages.Envelope{Type: string(name), Payload: payload, Origin: string(rt.Node()), Incarnation: rt.Incarnation()}, nil
}

// Refuse counts and logs a message that Seal did not take.
func Refuse(host Host, to *actor.PID, err error) {
	counter := &host.Counters().UnsendableMessages
	if model.CodeOf(err) == model.CodeTooLarge {
		counter = &host.Counters().OversizeMessages
	}
	if n, log := Count(counter); log {
		host.Log().Error("message to another node refused",
			slog.String("to", to.GetAddress()+"/"+to.GetId()), slog.Uint64("count", n), slog.Any("error", err))
	}
}

// Open returns the message inside an Envelope, or nil when it must be dropped,
// which it counts and logs: a node of another version may send what this one does
// not know, and that is not worth a crash.
func Open(host Host, e *messages.Envelope) proto.Message {
	msg, counter, err := open(host, e)
	if err != nil {
		if n, log := Count(counter); log {
			host.Log().Warn("message from another node dropped", slog.String("origin", e.GetOrigin()), slog.Uint64("count", n), slog.Any("error", err))
		}
		return nil
	}
	return msg
}

func open(host Host, e *messages.Envelope) (proto.Message, *atomic.Uint64, error) {
	const op = "receive from another node"
	counters := host.Counters()
	name := protoreflect.FullName(e.GetType())
	if !introduces[name] && !host.Admit(model.NodeID(e.GetOrigin()), e.GetIncarnation()) {
		return nil, &counters.StaleIncarnations, model.Errorf(model.CodeStaleEpoch, op,
			"the message is of incarnation %d of %s, which has started anew since", e.GetIncarnation(), e.GetOrigin())
	}
	typ, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil || !travels(name) {
		return nil, &counters.UnknownEnvelopes, model.Errorf(model.CodeInvalidArgument, op, "this version knows no message %q", e.GetType())
	}
	msg := typ.New().Interface()
	if err := proto.Unmarshal(e.GetPayload(), msg); err != nil {
		return nil, &counters.UnknownEnvelopes, model.Errorf(model.CodeCorrupt, op, "the %s cannot be decoded: %w", e.GetType(), err)
	}
	return msg, nil, nil
}

// introduces are the messages by which processes find out who is who. They say their
// incarnation themselves and whoever receives them judges it: when a copy of a data
// directory speaks under a later incarnation, the original must still be heard.
var introduces = map[protoreflect.FullName]bool{
	"tiercel.v1.Greet": true, "tiercel.v1.GreetReply": true, "tiercel.v1.AreYouThere": true, "tiercel.v1.IAmHere": true, "tiercel.v1.Heartbeat": true,
}

// inside are the messages between actors of one node that only they have a right to say:
// what the log has committed, what the catalog holds, who leads. From another node they
// would be believed, and the state of this one would be anybody's.
var inside = map[protoreflect.FullName]bool{
	"tiercel.v1.ApplyEntries": true, "tiercel.v1.EntriesApplied": true, "tiercel.v1.CommandsApplied": true,
	"tiercel.v1.AttachCatalog": true, "tiercel.v1.CatalogLoaded": true, "tiercel.v1.LogMembers": true,
	"tiercel.v1.TakeSnapshot": true, "tiercel.v1.SnapshotTaken": true, "tiercel.v1.InstallSnapshot": true, "tiercel.v1.SnapshotInstalled": true,
	"tiercel.v1.LeadershipChanged": true, "tiercel.v1.CandidateRanks": true, "tiercel.v1.Admitted": true, "tiercel.v1.DiscoveredPeers": true,
	"tiercel.v1.Propose": true, "tiercel.v1.ProposeReply": true, "tiercel.v1.TransferLeadership": true, "tiercel.v1.TransferLeadershipReply": true,
	"tiercel.v1.ChangeVoters": true, "tiercel.v1.ChangeVotersReply": true,
	"tiercel.v1.DescribeLog": true, "tiercel.v1.DescribeLogReply": true, "tiercel.v1.StandbyMatch": true,
	"tiercel.v1.DescribeReserved": true, "tiercel.v1.DescribeReservedReply": true,
}

// travels reports whether a type may be inside an Envelope: one of ours that is not of
// one node alone, and not another Envelope. Protoactor's own would steer actors.
func travels(name protoreflect.FullName) bool {
	return strings.HasPrefix(string(name), "tiercel.v1.") && name != "tiercel.v1.Envelope" && name != "tiercel.v1.BulkFrame" && !inside[name]
}
