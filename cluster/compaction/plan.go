package compaction

import (
	"cmp"
	"fmt"
	"slices"

	"tiercel/messages"
)

// Limits of one plan.
const (
	// MaxRetiring bounds the volumes with content that are being emptied at once.
	MaxRetiring = 4
	// MaxRetiringBytes bounds their live content; one volume is always allowed.
	MaxRetiringBytes = 4 << 30
	// MaxDead bounds the volumes without content that are given up at once.
	MaxDead = 64
	// MaxSalvage bounds the damaged volumes with content that are on their way out at once.
	// They have a bound of their own: what nobody can read stays until it is deleted.
	MaxSalvage = 16
	// DefaultDeadShare is used until the cluster has settings; nothing is merged then.
	DefaultDeadShare = 0.3
)

// Choice is a sealed volume to be retired now.
type Choice struct {
	Volume, Generation uint64
	LiveBytes          uint64
	Cause              string
}

// Plan returns what to retire now, the cheapest first, and for each volume that is
// due and cannot be emptied the reason. A zero dead share means never, and so does
// a zero size for merging.
func Plan(rows []*messages.VolumeRow, settings *messages.Settings) (choices []Choice, blockers []string) {
	p := planner{deadShare: DefaultDeadShare, open: make(map[uint32]bool)}
	if settings != nil {
		p.deadShare, p.mergeBelow = settings.CompactDeadShare, settings.MergeBelowBytes
	}
	for _, row := range rows {
		p.count(row)
	}
	for _, row := range rows {
		if row.State == messages.VolumeState_SEALED && row.LiveBytes <= 0 && p.dead < MaxDead {
			p.dead++
			p.choices = append(p.choices, choice(row, "nothing names it"))
		}
	}
	for _, row := range rows {
		if row.State == messages.VolumeState_SEALED && Damaged(row) {
			p.salvage(row)
		}
	}
	for _, row := range p.worthIt(rows) {
		p.take(row, fmt.Sprintf("%.0f %% of it is dead", 100*deadShare(row)))
	}
	p.merge(rows)
	return p.choices, p.blockers
}

type planner struct {
	deadShare  float64
	mergeBelow uint64
	open       map[uint32]bool // tiers with a volume that may take what is moved
	dead       int             // on their way out, without content
	retiring   int             // with content
	bytes      uint64          // of that content
	salvaged   int             // with content, and damaged in every copy
	choices    []Choice
	blockers   []string
}

func choice(row *messages.VolumeRow, cause string) Choice {
	return Choice{Volume: row.Id, Generation: row.Generation, LiveBytes: uint64(max(row.LiveBytes, 0)), Cause: cause}
}

// count takes what is there already into account.
func (p *planner) count(row *messages.VolumeRow) {
	switch {
	case row.State == messages.VolumeState_OPEN:
		p.open[row.Tier] = true
	case row.State != messages.VolumeState_RETIRING:
	case row.LiveBytes <= 0:
		p.dead++
	case Damaged(row):
		p.salvaged++
	default:
		p.retiring++
		p.bytes += uint64(row.LiveBytes)
	}
}

// deadShare is the part of a sealed volume that nothing names.
func deadShare(row *messages.VolumeRow) float64 {
	if row.SealedEnd == 0 {
		return 0
	}
	return 1 - float64(row.LiveBytes)/float64(row.SealedEnd)
}

// Damaged reports whether a volume has content and every copy that could have it is
// damaged. No copy can be made from another one then, but most records of each are good,
// and two copies are rarely bad in the same place.
func Damaged(row *messages.VolumeRow) bool {
	damaged := false
	for _, m := range row.GetMembers() {
		switch {
		case m.Damaged:
			damaged = true
		case m.Verified, m.Job == 0: // good, or as good as its worker says when it is back
			return false
		}
	}
	return damaged && row.GetLiveBytes() > 0
}

// salvage chooses a volume that is damaged in every copy: what can be read is moved.
func (p *planner) salvage(row *messages.VolumeRow) {
	if why := p.blocked(row); why != "" {
		p.blockers = append(p.blockers, fmt.Sprintf("volume %d: %s", row.Id, why))
		return
	}
	if p.salvaged < MaxSalvage {
		p.salvaged++
		p.choices = append(p.choices, choice(row, "each of its copies is damaged; what can be read is moved"))
	}
}

// worthIt lists the volumes with enough dead bytes, the deadest first.
func (p *planner) worthIt(rows []*messages.VolumeRow) []*messages.VolumeRow {
	var due []*messages.VolumeRow
	for _, row := range rows {
		if row.State == messages.VolumeState_SEALED && row.LiveBytes > 0 && p.deadShare > 0 && deadShare(row) >= p.deadShare && !Damaged(row) {
			due = append(due, row)
		}
	}
	slices.SortStableFunc(due, func(a, b *messages.VolumeRow) int { return -cmp.Compare(deadShare(a), deadShare(b)) })
	return due
}

// take chooses a volume with content, unless it cannot be emptied or there is
// enough to do.
func (p *planner) take(row *messages.VolumeRow, cause string) {
	if why := p.blocked(row); why != "" {
		p.blockers = append(p.blockers, fmt.Sprintf("volume %d: %s", row.Id, why))
		return
	}
	live := uint64(row.LiveBytes)
	if p.retiring >= MaxRetiring || p.retiring > 0 && p.bytes+live > MaxRetiringBytes {
		return
	}
	p.retiring++
	p.bytes += live
	p.choices = append(p.choices, choice(row, cause))
}

// blocked says why a volume cannot be emptied now.
func (p *planner) blocked(row *messages.VolumeRow) string {
	switch {
	case len(row.Lost) > 0:
		return "a part of it is lost; it stays until the files in it are deleted"
	case !Damaged(row) && !slices.ContainsFunc(row.Members, func(m *messages.VolumeMember) bool { return m.Verified && !m.Damaged }):
		return "none of its copies is verified yet"
	case !p.open[row.Tier]:
		return fmt.Sprintf("tier %d has no open volume that could take its content", row.Tier)
	}
	return ""
}

// merge takes small volumes of a tier together, at least two, the smallest first.
func (p *planner) merge(rows []*messages.VolumeRow) {
	for tier := uint32(1); tier <= 3; tier++ {
		var small []*messages.VolumeRow
		for _, row := range rows {
			if row.Tier == tier && row.State == messages.VolumeState_SEALED && row.LiveBytes > 0 &&
				row.SealedEnd < p.mergeBelow && !Damaged(row) && p.blocked(row) == "" && !p.chosen(row.Id) {
				small = append(small, row)
			}
		}
		if len(small) < 2 || MaxRetiring-p.retiring < 2 {
			continue
		}
		slices.SortStableFunc(small, func(a, b *messages.VolumeRow) int { return cmp.Compare(a.SealedEnd, b.SealedEnd) })
		for _, row := range small {
			p.take(row, fmt.Sprintf("it has only %d bytes and is merged with others", row.SealedEnd))
		}
	}
}

func (p *planner) chosen(volume uint64) bool {
	return slices.ContainsFunc(p.choices, func(c Choice) bool { return c.Volume == volume })
}
