package simtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	rules "tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// backgroundLimit of a simulated cluster: volumes are some ten KiB there.
const backgroundLimit = 256 << 10

// copiesWatch is what is remembered of the volumes while a run goes on.
type copiesWatch struct {
	newest   at             // catalog looked at
	verified map[uint64]int // members known to be whole, by volume
	grants   []grantSeen    // bandwidth given lately
}

type grantSeen struct {
	at    time.Duration
	bytes int
}

// lookAtCopies checks invariant 7 in the rows: a volume that something names and of
// which a whole copy was known never comes to have none, unless it was found damaged
// or its holder was taken out by force.
func (s *story) lookAtCopies(c *rules.Catalog) {
	w := &s.watch.copies
	place := placeOf(c)
	if !w.newest.before(place) {
		return
	}
	if place.generation > w.newest.generation && c.Cluster().GetAdoptBelow() > 0 {
		clear(w.verified) // a recovered catalog is an earlier one: what was verified since it compares anew
	}
	w.newest = place
	now := make(map[uint64]int)
	for _, row := range c.Volumes() {
		if row.State == messages.VolumeState_OPEN {
			continue
		}
		damaged := false
		for _, m := range row.Members {
			damaged = damaged || m.Damaged
			if m.Verified {
				now[row.Id]++
			}
		}
		if w.verified[row.Id] > 0 && now[row.Id] == 0 && row.LiveBytes > 0 && !damaged && len(row.Lost) == 0 {
			s.violate("the last whole copy of volume %d was given up: %v", row.Id, row.Members)
		}
	}
	w.verified = now
}

// watchBandwidth checks invariant 10: what volumes send each other for jobs, in any
// window of a second, stays within the limit and what may be saved up for it.
func (s *story) watchBandwidth() {
	s.world.Tap(func(_, _ model.NodeID, message string, size int) {
		if !strings.HasSuffix(message, ".ReadVolumeReply") || !s.limited {
			return
		}
		w := &s.watch.copies
		now := s.world.Elapsed()
		w.grants = append(w.grants, grantSeen{now, size})
		w.grants = slices.DeleteFunc(w.grants, func(g grantSeen) bool { return now-g.at > time.Second })
		sum := 0
		for _, g := range w.grants {
			sum += g.bytes
		}
		// A second's worth may have been saved up, and links delay what was granted.
		if most := 3*backgroundLimit + 64<<10; sum > most {
			s.violate("%d bytes of copies went over the network within a second, the limit is %d", sum, backgroundLimit)
		}
	})
}

// whole reports whether every volume has the copies it should (invariant 11), and
// what is missing otherwise.
func (s *story) whole() (bool, string) {
	m := s.master()
	if m == nil || m.catalog == nil {
		return false, "there is no master"
	}
	c := m.catalog
	able, hostOf := make(map[string]bool), make(map[string]string)
	nodes, workers := c.Workers()
	for i, w := range workers {
		hostOf[nodes[i]] = w.Host
		if w.State == messages.WorkerState_HEALTHY && !w.Draining {
			able[w.Host] = true
		}
	}
	for _, row := range c.Volumes() {
		if row.State != messages.VolumeState_SEALED || row.SealedEnd == 0 || row.LiveBytes == 0 {
			continue
		}
		good, hosts := 0, make(map[string]bool)
		for _, m := range row.Members {
			if h := s.hostOf(m.Node); h != nil && !h.gone && m.Verified {
				good++
				hosts[hostOf[m.Node]] = true
			}
		}
		wanted := min(len(able), tier.WantedOf(row, c.Cluster().Tiers, int(c.Cluster().ReplicationFactor)))
		switch {
		case good == 0 && s.mayBeGone(row):
		case len(hosts) < good:
			return false, fmt.Sprintf("volume %d has two copies on one machine: %v", row.Id, row)
		case good < wanted:
			return false, fmt.Sprintf("volume %d has %d good copies of %d: %v", row.Id, good, wanted, row)
		case len(row.Members) > good:
			return false, fmt.Sprintf("volume %d has members that are no good copies: %v", row.Id, row)
		case good > wanted:
			return false, fmt.Sprintf("volume %d has %d copies instead of %d: %v", row.Id, good, wanted, row)
		}
	}
	return s.noExtraFiles(c)
}

// mayBeGone reports whether the faults may have taken every copy.
func (s *story) mayBeGone(row *messages.VolumeRow) bool {
	return !slices.ContainsFunc(row.Members, func(m *messages.VolumeMember) bool {
		h := s.hostOf(m.Node)
		return h != nil && !h.gone
	}) || len(row.Lost) > 0
}

// noExtraFiles compares what lies on the disks with the rows.
func (s *story) noExtraFiles(c *rules.Catalog) (bool, string) {
	for _, h := range s.living() {
		if !h.node.Up() || h.data == nil {
			return false, string(h.name) + " is down"
		}
		for _, state := range h.data.Volumes.States() {
			row, ok := c.Volume(uint64(state.ID))
			switch m := memberOn(row, h); {
			case !ok:
				return false, fmt.Sprintf("%s has a copy of volume %d, which is not in the catalog", h.name, state.ID)
			case m == nil:
				return false, fmt.Sprintf("%s has a copy of volume %d and is no member", h.name, state.ID)
			case m.ReplicaGen != state.ReplicaGen:
				return false, fmt.Sprintf("%s has replica generation %d of volume %d, the row has %d", h.name, state.ReplicaGen, state.ID, m.ReplicaGen)
			}
		}
	}
	return true, ""
}

func memberOn(row *messages.VolumeRow, h *host) *messages.VolumeMember {
	for _, m := range row.GetMembers() {
		if m.Node == string(h.name) {
			return m
		}
	}
	return nil
}

// checkCopies waits until every volume is whole and compares the copies byte by byte.
func (s *story) checkCopies() {
	reason := ""
	if !s.world.RunUntil(func() bool {
		var ok bool
		ok, reason = s.whole()
		return ok && s.catalogAt(0) != nil // not one that is being read again
	}, 10*time.Minute) {
		s.violate("the copies do not come to what they should be: %s", reason)
		return
	}
	c := s.master().catalog
	for _, row := range c.Volumes() {
		if row.State == messages.VolumeState_SEALED && row.SealedEnd > 0 && row.LiveBytes > 0 {
			s.compareCopies(row)
		}
	}
}

// compareCopies reads every copy of a volume up to its sealed end.
func (s *story) compareCopies(row *messages.VolumeRow) {
	var first []byte
	for _, m := range row.Members {
		h := s.hostOf(m.Node)
		if h == nil || h.gone || h.data == nil || !m.Verified {
			continue
		}
		got, _, err := h.data.Volumes.ReadRaw(model.VolumeID(row.Id), 0, int(row.SealedEnd))
		if err != nil || uint64(len(got)) != row.SealedEnd {
			s.violate("%s is a whole copy of volume %d and has %d of %d bytes (%v)", m.Node, row.Id, len(got), row.SealedEnd, err)
			continue
		}
		if first != nil && !bytes.Equal(first, got) {
			s.violate("two whole copies of volume %d differ", row.Id)
		}
		first = got
	}
}

// watchCopied tells how much of volumes goes over the network from now on.
func (s *story) watchCopied(see func(bytes int)) {
	s.world.Tap(func(_, _ model.NodeID, message string, size int) {
		if strings.HasSuffix(message, ".ReadVolumeReply") {
			see(size)
		}
	})
}
