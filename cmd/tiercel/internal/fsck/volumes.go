package fsck

import (
	"fmt"
	"path"
	"strings"

	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

func (c *check) openVolumes() (*store.Volumes, error) {
	volumes, states, err := store.OpenVolumes(c.fs, store.VolumeOptions{})
	if err != nil {
		return nil, err
	}
	c.states, c.covered = map[model.VolumeID]store.VolumeState{}, map[model.VolumeID]*int64{}
	for _, s := range states {
		c.states[s.ID], c.covered[s.ID] = s, new(int64)
		c.report.Volumes++
		c.report.VolumeBytes += int64(s.End)
		if s.Damage != "" {
			c.report.add(Problem{Kind: KindVolume, Volume: s.ID, Message: s.Damage})
		}
		c.report.TailBytes += c.tail(s)
	}
	return volumes, nil
}

// tail is how much lies behind the last intact record.
func (c *check) tail(s store.VolumeState) int64 {
	info, err := c.fs.Stat(path.Join("volumes", fmt.Sprintf("t%d", s.Tier), s.ID.String()+".vol"))
	if err != nil || s.End == 0 {
		return 0
	}
	return max(0, info.Size-int64(s.End))
}

// checkVolumes compares the volumes on disk with the catalog's rows.
func (c *check) checkVolumes() {
	c.rows = map[uint64]*messages.VolumeRow{}
	for _, row := range c.catalog.Volumes() {
		c.rows[row.Id] = row
		if !c.isMember(row) {
			continue
		}
		id := model.VolumeID(row.Id)
		state, ok := c.states[id]
		if !ok {
			if row.CommittedEnd > store.DataStart {
				c.report.add(Problem{Kind: KindVolume, Volume: id, Message: fmt.Sprintf(
					"the catalog says that this node holds %d bytes of it, but there is no file; if the volume has another copy, a running cluster restores it from that", row.CommittedEnd)})
			}
			continue
		}
		c.compare(row, state)
	}
	next := c.catalog.Cluster().GetNextVolume()
	for id, state := range c.states {
		if c.rows[uint64(id)] != nil {
			continue
		}
		c.report.OrphanedBytes += payload(state.End)
		if uint64(id) >= next && state.End > store.DataStart {
			c.report.add(Problem{Kind: KindVolume, Volume: id, Message: fmt.Sprintf(
				"it lies on disk with %d bytes, but the catalog has never made it: the catalog is older than the data", state.End)})
		}
	}
}

func (c *check) compare(row *messages.VolumeRow, state store.VolumeState) {
	id := model.VolumeID(row.Id)
	wrong := func(format string, args ...any) {
		c.report.add(Problem{Kind: KindVolume, Volume: id, Message: fmt.Sprintf(format, args...)})
	}
	want := row.CommittedEnd
	if row.State != messages.VolumeState_OPEN {
		want = max(want, row.SealedEnd)
	}
	for _, lost := range row.Lost {
		if lost.To >= want {
			want = min(want, lost.From) // logged as gone, and reported with its files
		}
	}
	if state.Damage == "" && state.End < want {
		wrong("its intact records end at byte %d, but %d are committed; if the volume has another copy, a running cluster restores it from that", state.End, want)
	}
	if uint32(state.Tier) != row.Tier {
		wrong("it lies in tier %d but is of tier %d", state.Tier, row.Tier)
	}
	if state.Generation > row.Generation {
		wrong("it has generation %d on disk but %d in the catalog: the catalog is older than the data", state.Generation, row.Generation)
	}
	c.report.OrphanedBytes += max(0, payload(state.End)-row.LiveBytes)
}

// payload is the length of the records in a volume that ends at end.
func payload(end uint64) int64 { return max(0, int64(end)-store.DataStart) }

func (c *check) isMember(row *messages.VolumeRow) bool {
	for _, m := range row.Members {
		if m.Node == string(c.node.NodeID) {
			return true
		}
	}
	return false
}

// scanVolumes reads what no file has led to: records that nothing names, and
// uploads under way. Damage there endangers no file but tells of a bad disk.
func (c *check) scanVolumes() {
	if c.o.Quick {
		return
	}
	for id, state := range c.states {
		if c.ctx.Err() != nil {
			return
		}
		if *c.covered[id] >= payload(state.End) {
			continue
		}
		err := c.volumes.Scan(id, func(uint64, store.Record, store.Placed) error { return c.ctx.Err() })
		if err != nil && c.ctx.Err() == nil {
			text := strings.TrimPrefix(message(err), fmt.Sprintf("volume %d is ", id))
			c.report.add(Problem{Kind: KindRecord, Volume: id, Message: text})
		}
	}
}
