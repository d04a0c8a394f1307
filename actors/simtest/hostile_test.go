package simtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"tiercel/actors"
	"tiercel/messages/messagetest"
)

// travellers are the types of messages that may come from another node.
func travellers() []protoreflect.MessageType {
	var out []protoreflect.MessageType
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		if strings.HasPrefix(string(m.Descriptor().FullName()), "tiercel.v1.") && !m.Descriptor().IsMapEntry() {
			out = append(out, m)
		}
		return true
	})
	return out
}

// targets are the paths of the actors of a node, and some that nobody has.
func targets(p *probe) []string {
	out := []string{
		"node", "node/member", "node/log", "node/catalog", actors.WorkerPath, actors.GatewayPath, "node/master",
		"node/master/coordinator", "node/master/controller", "node/master/foreman", "node/master/compactor", "node/master/bursar", "node/master/archivist", "nobody", "",
	}
	for _, v := range p.story.catalogAt(0).Volumes() {
		out = append(out, fmt.Sprintf("%s/volume/%d.%d", actors.WorkerPath, v.Id, v.Generation))
	}
	return out
}

// bombard sends every type of message, each in these shapes, to every actor of the node.
func (p *probe) bombard(shapes map[string]func(protoreflect.Message)) {
	p.t.Helper()
	types := travellers()
	require.Greater(p.t, len(types), 100)
	slices.SortFunc(types, func(a, b protoreflect.MessageType) int {
		return strings.Compare(string(a.Descriptor().FullName()), string(b.Descriptor().FullName()))
	})
	to := targets(p)
	for _, typ := range types {
		for _, name := range slices.Sorted(maps.Keys(shapes)) {
			m := typ.New()
			shapes[name](m)
			for _, path := range to {
				p.send(path, m.Interface())
			}
			p.story.world.Run(5 * time.Millisecond)
			if !assert.Empty(p.t, p.story.bad, "%s with %s", typ.Descriptor().FullName(), name) {
				p.story.bad = nil
			}
		}
	}
}

func TestHostile_NoMessageOfAnotherNodeOfAnEarlierEpochBreaksOrChangesAnything(t *testing.T) {
	p := newProbe(t, 1)
	require.Nil(t, p.put("/models/a", "kept", nil).Error)
	p.bombard(map[string]func(protoreflect.Message){
		"nothing": func(protoreflect.Message) {},
		"ones":    func(m protoreflect.Message) { messagetest.Fill(m, "", 1, 0) },
		"names":   func(m protoreflect.Message) { messagetest.Fill(m, "n-1", 1, 3) },
	})
	p.waitReady()
	assert.Equal(t, "kept", p.value("/models/a"))
	require.Nil(t, p.put("/models/a", "new", nil).Error)
	assert.Equal(t, "new", p.value("/models/a"))
	assert.Empty(t, p.story.catalogAt(0).Verify())
}

// A peer that speaks of an epoch beyond all others is obeyed, as a new master is: whoever
// has a certificate can keep a node from its master. It can break nothing.
func TestHostile_NoMessageAtTheEndsOfItsRangesBreaksAnActor(t *testing.T) {
	for seed, number := range []uint64{math.MaxUint64, math.MaxInt64, 1 << 32} {
		p := newProbe(t, uint64(seed+2))
		p.bombard(map[string]func(protoreflect.Message){
			"controls": func(m protoreflect.Message) { messagetest.Fill(m, "\x00../../x", number, 3) },
			"paths":    func(m protoreflect.Message) { messagetest.Fill(m, "/models/a", number, 2) },
			"shallow":  func(m protoreflect.Message) { messagetest.Fill(m, "n-1", number, 0) },
		})
	}
}
