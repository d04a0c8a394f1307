package catalog_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/messages"
	"tiercel/messages/messagetest"
)

// extremes are commands of every kind there is, each in several shapes: empty, and with
// every field at an edge. Kinds that are added are in it without a change here.
func extremes() map[string]*messages.Command {
	out := map[string]*messages.Command{}
	kinds := (&messages.Command{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
	for i := range kinds.Len() {
		f := kinds.Get(i)
		for shape, edge := range map[string]*struct {
			text   string
			number uint64
		}{
			"empty": nil, "ones": {"n-1", 1}, "paths": {"/a", 1}, "largest": {"/models/../x", math.MaxUint64},
			"sevens": {"default", 7}, "half": {"\x00", math.MaxUint64 / 2},
		} {
			cmd := &messages.Command{}
			m := cmd.ProtoReflect().Mutable(f).Message()
			if edge != nil {
				messagetest.Fill(m, edge.text, edge.number, 3)
			}
			out[string(f.Name())+" "+shape] = cmd
		}
	}
	return out
}

func TestApply_TakesOrRefusesEveryKindOfCommandAtItsEdges(t *testing.T) {
	all := extremes()
	require.Greater(t, len(all), 100)
	for name, cmd := range all {
		t.Run(name, func(t *testing.T) {
			r := full(t)
			before := r.c.Applied()
			again := proto.CloneOf(cmd)
			_, err := r.c.Apply(r.index+1, cmd)
			assert.True(t, proto.Equal(again, cmd), "apply has changed the command")
			if err != nil {
				assert.Equal(t, before, r.c.Applied(), "halted, and went on")
				return
			}
			assert.Empty(t, r.c.Verify())
		})
	}
}
