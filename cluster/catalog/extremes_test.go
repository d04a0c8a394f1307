package catalog_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tiercel/messages"
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
				fill(m, edge.text, edge.number, 3)
			}
			out[string(f.Name())+" "+shape] = cmd
		}
	}
	return out
}

func fill(m protoreflect.Message, text string, number uint64, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.ContainingOneof() != nil && m.WhichOneof(f.ContainingOneof()) != nil:
		case f.IsMap():
			m.Mutable(f).Map().Set(scalar(f.MapKey(), text, number).MapKey(), element(f.MapValue(), m.Mutable(f).Map().NewValue, text, number, depth))
		case f.IsList():
			list := m.Mutable(f).List()
			list.Append(element(f, list.NewElement, text, number, depth))
			list.Append(element(f, list.NewElement, text, number, depth))
		default:
			m.Set(f, element(f, func() protoreflect.Value { return m.NewField(f) }, text, number, depth))
		}
	}
}

func element(f protoreflect.FieldDescriptor, fresh func() protoreflect.Value, text string, number uint64, depth int) protoreflect.Value {
	if f.Kind() != protoreflect.MessageKind {
		return scalar(f, text, number)
	}
	v := fresh()
	if depth > 0 {
		fill(v.Message(), text, number, depth-1)
	}
	return v
}

func scalar(f protoreflect.FieldDescriptor, text string, number uint64) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(number)))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(number))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(number))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(number)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.NaN())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text))
	}
	return protoreflect.ValueOfString(text)
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
