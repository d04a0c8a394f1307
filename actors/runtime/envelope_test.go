package runtime

import (
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// origin is a runtime that knows only who it is.
type origin struct{ Runtime }

func (origin) Node() model.NodeID  { return "n-a" }
func (origin) Incarnation() uint64 { return 3 }

func TestSeal_NamesTheMessageAndItsOrigin(t *testing.T) {
	e, err := Seal(origin{}, &messages.Stat{Path: "/a"})
	require.NoError(t, err)
	assert.Equal(t, "tiercel.v1.Stat", e.Type)
	assert.Equal(t, "n-a", e.Origin)
	assert.EqualValues(t, 3, e.Incarnation)
}

func TestSeal_RefusesWhatMustNotTravel(t *testing.T) {
	for _, c := range []struct {
		name string
		msg  any
		code model.Code
	}{
		{"not protobuf", "a string", model.CodeInvalidArgument},
		{"nothing", nil, model.CodeInvalidArgument},
		{"protoactor's own", &actor.PoisonPill{}, model.CodeInvalidArgument},
		{"an envelope", &messages.Envelope{}, model.CodeInvalidArgument},
		{"a frame of the bulk lane", &messages.BulkFrame{}, model.CodeInvalidArgument},
		{"of another package", wrapperspb.Bytes(nil), model.CodeInvalidArgument},
		{"what only the own log says", &messages.ApplyEntries{}, model.CodeInvalidArgument},
		{"what only the own coordinator says", &messages.Propose{}, model.CodeInvalidArgument},
		{"not UTF-8", &messages.Stat{Path: "\xff"}, model.CodeInvalidArgument},
		{"too large", &messages.Stat{Path: strings.Repeat("x", MaxMessageBytes)}, model.CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Seal(origin{}, c.msg)
			assert.Equal(t, c.code, model.CodeOf(err))
		})
	}
}

func TestInside_NamesMessagesThatThereAre(t *testing.T) {
	for name := range inside {
		_, err := protoregistry.GlobalTypes.FindMessageByName(name)
		assert.NoError(t, err, name)
	}
}

func TestOpen_DropsWhatNoOtherNodeHasARightToSay(t *testing.T) {
	for name := range inside {
		r := &receiver{}
		assert.Nil(t, Open(r, &messages.Envelope{Type: string(name), Origin: "n-b", Incarnation: 1}), name)
		assert.EqualValues(t, 1, r.counters.UnknownEnvelopes.Load(), name)
	}
	r := &receiver{}
	assert.NotNil(t, Open(r, &messages.Envelope{Type: "tiercel.v1.Stat", Origin: "n-b", Incarnation: 1}))
}
