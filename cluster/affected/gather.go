package affected

import (
	"tiercel/cluster/catalog"
	"tiercel/messages"
)

// Gathering makes one answer of several pages: whole files only, at most Limit of them,
// of one state only unless that is CONTENT_STATE_UNSPECIFIED.
type Gathering struct {
	Limit int
	State messages.ContentState

	Files []*messages.AffectedFile
	Next  string // where another gathering goes on; empty: the end

	pending []*messages.AffectedFile // since the page before the file that the walk is in
}

// Add takes the page that begins where the one before ended. more: another one is
// wanted, whatever was spent; room: it may be.
func (g *Gathering) Add(p Page) (more, room bool) {
	for _, f := range p.Files {
		g.pending = Merge(g.pending, f)
	}
	if p.Within {
		return true, true // what is pending may not be the worst of it
	}
	g.Next = p.Next
	for _, f := range g.pending {
		if g.State != messages.ContentState_CONTENT_STATE_UNSPECIFIED && f.State != g.State {
			continue
		}
		if len(g.Files) == g.Limit {
			last := g.Files[len(g.Files)-1]
			g.Next = catalog.Behind(last.Tenant, last.Path)
			break
		}
		g.Files = append(g.Files, f)
	}
	g.pending = nil
	return false, g.Next != "" && len(g.Files) < g.Limit
}
