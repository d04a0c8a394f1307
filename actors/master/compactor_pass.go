package master

import (
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// Limits of a pass.
const (
	passRows  = 256      // of the catalog, looked at in one go
	passMoves = 64       // extents on their way at once
	passBytes = 64 << 20 // of their content
	// Patience with a granted move until its volume's members have it, and with one
	// answer on the way there.
	movePatience = 15 * time.Second
	stepLimit    = 10 * time.Second
	// passWaiting moves at once wait for bandwidth; the foreman's word is waited for
	// so long, then the next pass asks anew.
	passWaiting = 4
	waitLimit   = 2 * time.Minute
	// passRest is the pause after a pass that moved nothing: what is in its way is
	// rarely gone at once, and what is damaged in every copy stays. It doubles.
	passRest    = 5 * time.Second
	passRestMax = time.Minute
	// maxTold files that cannot be read are remembered, so that the log names each once.
	maxTold = 10_000
	// passFailures end a volume's part in a pass: its copies are out of reach, and
	// the others should not wait for that again and again.
	passFailures = 64
)

// pass is one walk over the catalog: what lies in the volumes it began with is
// moved, a bounded number of extents at a time.
type pass struct {
	volumes []uint64 // that are being emptied
	after   string   // where the next page begins
	page    uint64   // request of the page under way, 0: none
	pageAt  time.Time
	ended   bool // the last page has come
	found   []*messages.NamedExtent
	moves   []*move        // under way, oldest first
	bytes   uint64         // of their content
	any     bool           // something was found
	moved   int            // extents whose new place is in the log
	going   bool           // goOn is at work
	failed  map[uint64]int // extents that could not be read, by volume
}

// begin starts a pass over the volumes that are still named.
func (c *Compactor) begin(ctx *runtime.Context, volumes []uint64) {
	c.pass = &pass{volumes: volumes, failed: make(map[uint64]int)}
	c.goOn(ctx)
}

// goOn asks for the next page, starts what fits into the window, and ends the pass
// when there is no more.
func (c *Compactor) goOn(ctx *runtime.Context) {
	p := c.pass
	if p == nil || p.going {
		return
	}
	p.going = true // a move may end while it is being started
	for p.room() {
		n := p.found[0]
		p.found = p.found[1:]
		c.start(ctx, n)
	}
	p.going = false
	switch {
	case len(p.found) > 0 || p.page != 0:
	case !p.ended:
		c.next++
		p.page, p.pageAt = c.next, ctx.Now()
		ctx.Request(ctx.Runtime().Local(c.cfg.CatalogPath), &messages.Lookup{
			Header: &messages.Header{Request: p.page}, MinApplied: c.applied, Items: []*messages.LookupItem{{Kind: &messages.LookupItem_FindExtents{
				FindExtents: &messages.FindExtents{Volumes: p.volumes, After: p.after, Rows: passRows},
			}}},
		})
	case len(p.moves) == 0:
		c.endPass(ctx)
	}
}

// room reports whether the next extent may set out.
func (p *pass) room() bool {
	if len(p.found) == 0 || len(p.moves) >= passMoves || p.bytes > 0 && p.bytes+p.found[0].Extent.GetBodyBytes() > passBytes {
		return false
	}
	waiting := 0
	for _, m := range p.moves {
		if m.step == moveWaiting {
			waiting++
		}
	}
	return waiting < passWaiting
}

func (c *Compactor) onPage(ctx *runtime.Context, request uint64, m *messages.FindExtentsReply) {
	p := c.pass
	if p == nil || p.page != request {
		return
	}
	p.page = 0
	if m.Error != nil {
		c.pass = nil // the next look begins anew
		return
	}
	p.found, p.after, p.ended = m.Found, m.Next, m.Next == ""
	p.any = p.any || len(m.Found) > 0
	c.goOn(ctx)
}

// endPass leaves the rest to the next look. If nothing was found although there are
// live bytes, they belong to manifests whose release is under way: each entry of
// the log releases a piece, a refused drop too.
func (c *Compactor) endPass(ctx *runtime.Context) {
	p := c.pass
	c.pass = nil
	if p.moved > 0 {
		c.barren = 0
	} else {
		c.rest = ctx.Now().Add(min(passRest<<min(c.barren, 8), passRestMax))
		c.barren++
	}
	if p.any {
		return
	}
	c.rest = time.Time{}
	for _, id := range p.volumes {
		c.drop(ctx, id)
	}
}

// sweep gives up steps that got no answer; the next pass finds what they were for.
func (c *Compactor) sweep(ctx *runtime.Context) {
	p := c.pass
	if p == nil {
		return
	}
	now := ctx.Now()
	if p.page != 0 && now.Sub(p.pageAt) >= compactSteps {
		c.pass = nil
		return
	}
	for _, m := range slices.Clone(p.moves) {
		switch age := now.Sub(m.since); {
		case m.step == moveWaiting && age < waitLimit:
		case m.step == moveReading && age < stepLimit:
			if age >= compactSteps {
				c.readNext(ctx, m)
			}
		case m.step == moveProving && now.Sub(m.began) < movePatience:
			if age >= compactProof {
				c.prove(ctx, m)
			}
		case m.step != moveProving && age < stepLimit:
		default:
			c.end(ctx, m)
		}
	}
}

// end takes a move out of the window, whatever came of it.
func (c *Compactor) end(ctx *runtime.Context, m *move) {
	p := c.pass
	i := -1
	if p != nil {
		i = slices.Index(p.moves, m)
	}
	if i < 0 {
		return
	}
	p.moves = slices.Delete(p.moves, i, i+1)
	p.bytes -= m.named.Extent.BodyBytes
	delete(c.outcomes, m.proposal)
	c.goOn(ctx)
}
