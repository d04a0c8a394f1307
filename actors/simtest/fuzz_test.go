package simtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tiercel/messages/messagetest"
)

// FuzzActorMessage sends a node anything that decodes as a message of some type: no
// actor may panic over it.
func FuzzActorMessage(f *testing.F) {
	types := travellers()
	slices.SortFunc(types, func(a, b protoreflect.MessageType) int {
		return strings.Compare(string(a.Descriptor().FullName()), string(b.Descriptor().FullName()))
	})
	for i, typ := range types {
		m := typ.New()
		messagetest.Fill(m, "n-1", uint64(i), 2)
		if data, err := proto.Marshal(m.Interface()); err == nil {
			f.Add(uint16(i), uint8(i), data)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint16, target uint8, payload []byte) {
		m := types[int(kind)%len(types)].New().Interface()
		if proto.Unmarshal(payload, m) != nil {
			return
		}
		p := newProbe(t, 1)
		to := targets(p)
		p.send(to[int(target)%len(to)], m)
		p.story.world.Run(50 * time.Millisecond)
		require.Empty(t, p.story.bad)
	})
}
