package simtest

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// maxAdded bounds how far a run enlarges its cluster.
const maxAdded = 2

// enlarge adds an empty machine.
func (s *story) enlarge() {
	if s.added < maxAdded {
		s.added++
		s.addHost()
	}
}

// tell sends an operator's request to some node and waits for no answer.
func (s *story) tell(msg proto.Message) {
	if s.operator == nil {
		s.operator = s.world.Client("operator").Runtime()
		if _, err := s.operator.SpawnRoot("operator", func() runtime.Actor { return &operator{} }); err != nil {
			s.violate("the operator did not start: %v", err)
		}
	}
	h := s.anyHost()
	host := s.operator.(runtime.Host)
	host.System().Root.Send(s.operator.Local("operator"), outgoing{to: s.operator.Peer(h.name, gatewayPath), msg: msg})
}

// outgoing lets an actor send something.
type outgoing struct {
	to  *actor.PID
	msg proto.Message
}

// operator asks as a person would, and hears the answers.
type operator struct{}

// Receive passes questions on.
func (o *operator) Receive(ctx *runtime.Context, msg any) {
	if m, ok := msg.(outgoing); ok {
		ctx.Request(m.to, m.msg)
	}
}

func (s *story) header() *messages.Header {
	return &messages.Header{Request: s.world.Rand().Uint64() | 1}
}

// drain empties a machine for a while.
func (s *story) drain() {
	node := string(s.anyHost().name)
	s.tell(&messages.DrainWorker{Header: s.header(), Node: node})
	s.drained = append(s.drained, node)
	s.world.At(s.duration(time.Second, 8*time.Second), func() {
		if !s.calm {
			s.tell(&messages.DrainWorker{Header: s.header(), Node: node, Cancel: true})
		}
	})
}

func (s *story) rebalance() { s.tell(&messages.StartRebalance{Header: s.header()}) }

// flip changes a byte of a copy on one disk, where another whole copy is on a disk
// that is there: what one disk lies about must be mended from the others.
func (s *story) flip() {
	c := s.catalogAt(0)
	if c == nil {
		return
	}
	var choices []func()
	for _, row := range c.Volumes() {
		end := row.SealedEnd
		if row.State == messages.VolumeState_OPEN {
			end = row.CommittedEnd
		}
		// What is committed of an open volume is on every member in tier 1 only.
		if end <= store.DataStart || row.State == messages.VolumeState_OPEN && row.Tier != uint32(model.TierCritical) {
			continue
		}
		whole := 0
		for _, m := range row.Members {
			if h := s.hostOf(m.Node); h != nil && !h.gone && m.Verified && h.node.Up() {
				whole++
			}
		}
		for _, m := range row.Members {
			h := s.hostOf(m.Node)
			if whole < 2 || h == nil || h.gone || !m.Verified || !h.node.Up() || s.lied[row.Id] != "" {
				continue
			}
			name, at := fmt.Sprintf("volumes/t%d/%d.vol", row.Tier, row.Id), store.DataStart+int64(s.world.Rand().IntN(int(end-store.DataStart)))
			choices = append(choices, func() {
				if err := h.node.FS().Damage(name, at); err == nil {
					s.lied[row.Id] = m.Node // one disk lies about a volume, not all of them
					s.flipped = true
					s.count("byte flipped")
					if row.State == messages.VolumeState_OPEN {
						s.count("byte of an open volume flipped")
					}
				}
			})
		}
	}
	if len(choices) > 0 {
		choices[s.world.Rand().IntN(len(choices))]()
	}
}

// undrain ends what is left of drains, so that the cluster can come to rest.
func (s *story) undrain() {
	for _, node := range s.drained {
		s.tell(&messages.DrainWorker{Header: s.header(), Node: node, Cancel: true})
	}
}

// scrubAll has every copy checked, once nothing else goes wrong any more.
func (s *story) scrubAll() {
	s.undrain()
	if !s.flipped {
		return
	}
	scrubbed := func() bool {
		m := s.master()
		if m == nil || m.catalog == nil {
			return false
		}
		for _, j := range m.catalog.Jobs() {
			if j.Kind == messages.JobKind_SCRUB && j.Id > s.calmAt && j.State == messages.JobState_DONE {
				return true
			}
		}
		return false
	}
	if m := s.master(); m != nil && m.catalog != nil {
		s.calmAt = m.catalog.Applied()
	}
	asked := time.Duration(0)
	if !s.world.RunUntil(func() bool {
		if now := s.world.Elapsed(); now-asked > 5*time.Second {
			asked = now
			s.tell(&messages.StartScrub{Header: s.header()})
		}
		return scrubbed()
	}, 5*time.Minute) {
		s.violate("a scrub does not end: %s", s.state())
	}
	s.scrubbed = true
}
