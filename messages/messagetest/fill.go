package messagetest

import (
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fill sets every field of m: strings and bytes to text, whole numbers to number
// (converted as Go does), the others to NaN and true. Lists have two elements, maps
// one, of each oneof the first is set; messages in it are filled alike, depth levels
// down, and left empty below.
func Fill(m protoreflect.Message, text string, number uint64, depth int) {
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
	if f.Message() == nil {
		return scalar(f, text, number)
	}
	v := fresh()
	if depth > 0 {
		Fill(v.Message(), text, number, depth-1)
	}
	return v
}

func scalar(f protoreflect.FieldDescriptor, text string, number uint64) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(number)))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(number))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(number))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(number)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(math.NaN()))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.NaN())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text))
	}
	return protoreflect.ValueOfString(text)
}
