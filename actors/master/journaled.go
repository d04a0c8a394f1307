package master

import (
	"tiercel/actors/runtime"
	"tiercel/messages"
)

// journaled is how far the archive of the catalog goes, and what waits for it.
type journaled struct {
	covers uint64            // log index
	after  map[uint64]uint64 // volumes that are to be dropped: the index that must be covered
}

func (c *Coordinator) onJournalCovers(m *messages.JournalCovers) {
	if m.Generation == c.cfg.Generation {
		c.shipped.covers = max(c.shipped.covers, m.Index)
	}
}

// notJournaled holds a volume's drop back until the journal is as far as the state
// that nothing names it in: a catalog recovered from the journal would name it again,
// and its copies would be gone.
func (c *Coordinator) notJournaled(ctx *runtime.Context, cmd *messages.Command) bool {
	drop := cmd.GetDropVolume()
	if drop == nil || c.cfg.ArchiveEvery <= 0 {
		return false
	}
	j := &c.shipped
	at, known := j.after[drop.Volume]
	if !known {
		if at = c.newest; at == 0 {
			return true
		}
		if j.after == nil {
			j.after = make(map[uint64]uint64)
		}
		j.after[drop.Volume] = at
	}
	if j.covers < at {
		// What is freed soon is worth a piece of journal before its time.
		ctx.Send(ctx.Runtime().Local(c.cfg.ArchivistPath), &messages.JournalCovers{Index: at, Generation: c.cfg.Generation})
		return true
	}
	delete(j.after, drop.Volume)
	return false
}
