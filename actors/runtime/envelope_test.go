package runtime

import (
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		{"not UTF-8", &messages.Stat{Path: "\xff"}, model.CodeInvalidArgument},
		{"too large", &messages.Stat{Path: strings.Repeat("x", MaxMessageBytes)}, model.CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Seal(origin{}, c.msg)
			assert.Equal(t, c.code, model.CodeOf(err))
		})
	}
}
