package volumes

import (
	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/messages"
)

// Action is one step towards a usable set of volumes.
type Action struct {
	Kind       Kind
	Tier       model.Tier // Create, Open
	Volume     uint64
	Generation uint64   // of the row
	Start      uint64   // Open: where appends begin
	Recovered  uint64   // Reopen: intact length of the member
	Members    []string // Open, Seal: all of the row; Create: the chosen ones
	Reachable  []string // Seal: members that have a copy and can be fenced
	Cause      string   // Seal, Create
}

// Kind says what an Action does.
type Kind uint8

// The kinds of Action.
const (
	Create Kind = iota // log CreateVolume
	Open               // tell the members to open it at the row's generation
	Reopen             // log ReopenVolume: a new generation after a restart
	Seal               // fence what is there, then log SealVolume
)

// CauseFull is the cause of an ordinary seal: the next volume goes on.
const CauseFull = "it is full"

// CauseMoreCopies is the cause of a seal that makes room for a volume with more members.
const CauseMoreCopies = "it can have more copies"

// Usable is a volume that takes appends now.
type Usable struct {
	Volume, Generation uint64
	Tier               model.Tier
	End                uint64
	Members            []string // the first is the primary
}

// Worker is a node that may hold volumes.
type Worker struct {
	placement.Worker
	// Reports are the copies it told of in this look; Reached is false when it did
	// not answer.
	Reports map[uint64]*messages.VolumeReport
}

// Input is what Plan looks at.
type Input struct {
	Rows    []*messages.VolumeRow // the open ones
	Workers []Worker
	// Fresh are the volumes whose creation, or whose present generation, this master
	// logged and for which the workers have not been asked to open a file yet.
	Fresh map[uint64]bool
	// Opening are the volumes that workers are being told to open, or were during this
	// look: what is reported of them is older than that.
	Opening map[uint64]bool
	// Widen lets a volume be sealed for one with more copies.
	Widen bool
	// PerTier is how many usable volumes each tier shall have.
	PerTier           int
	ReplicationFactor int
	Tiers             []*messages.TierRow
	Weights           placement.Weights
	// Single are the tiers of which a new volume gets one copy: the licence has no more.
	Single map[model.Tier]bool
	// Coming counts volumes per tier that are being created at this moment.
	Coming map[model.Tier]int
}

// Short says why a tier has no volume and will get none now.
type Short map[model.Tier]string

// Plan returns the usable volumes and the actions still needed, in row order.
// Applying the actions and planning again converges to no actions.
func Plan(in Input) (usable []Usable, actions []Action, short Short) {
	p := planner{in: in, byNode: make(map[string]*Worker, len(in.Workers)), coming: make(map[model.Tier]int), load: make(map[string]int), sets: make(map[model.Tier][][]string), short: Short{}}
	for i := range in.Workers {
		w := &in.Workers[i]
		p.byNode[w.Node] = w
		if w.State != messages.WorkerState_LEFT && w.State != messages.WorkerState_DECOMMISSIONED {
			p.present++
		}
	}
	for t, n := range in.Coming {
		p.coming[t] += n
	}
	for _, row := range in.Rows {
		if row.State == messages.VolumeState_OPEN && len(row.Members) > 0 {
			p.row(row)
		}
	}
	p.create()
	p.widen()
	return p.usable, p.actions, p.short
}

type planner struct {
	in      Input
	byNode  map[string]*Worker
	present int // workers that have not left
	coming  map[model.Tier]int
	load    map[string]int            // open volumes by node
	sets    map[model.Tier][][]string // of open volumes
	usable  []Usable
	actions []Action
	short   Short
}

// row judges one open volume.
func (p *planner) row(row *messages.VolumeRow) {
	t := model.Tier(row.Tier)
	if p.in.Opening[row.Id] {
		p.coming[t]++
		p.count(t, membersOf(row))
		return
	}
	u, ok := p.writable(row)
	if ok && len(u.Members) < p.minCopies(t) {
		// It was made when there were fewer workers.
		p.actions = append(p.actions, sealed(Action{
			Volume: row.Id, Generation: row.Generation, Tier: t, Members: u.Members, Reachable: u.Members,
		}, "it has fewer copies than its tier needs"))
		return
	}
	if why := p.unsuited(row); ok && why != "" {
		if members, _ := p.choose(t); len(members) > 0 {
			p.actions = append(p.actions, sealed(Action{
				Volume: row.Id, Generation: row.Generation, Tier: t, Members: u.Members, Reachable: u.Members,
			}, why))
			return
		}
	}
	if ok {
		p.usable = append(p.usable, u)
		p.coming[t]++
		p.count(t, u.Members)
		return
	}
	a, wait := p.judge(row)
	if wait {
		return
	}
	if a.Kind == Open || a.Kind == Reopen {
		p.coming[t]++
		p.count(t, a.Members)
	}
	p.actions = append(p.actions, a)
}

// unsuited says why an open volume had better go on elsewhere; empty: it need not.
func (p *planner) unsuited(row *messages.VolumeRow) string {
	for _, m := range row.Members {
		switch w := p.byNode[m.Node]; {
		case w == nil:
		case w.Draining:
			return m.Node + " is being drained"
		case w.Low && w.Known:
			return "the disk of " + m.Node + " is nearly full"
		}
	}
	return ""
}

func membersOf(row *messages.VolumeRow) (nodes []string) {
	for _, m := range row.Members {
		nodes = append(nodes, m.Node)
	}
	return nodes
}

func (p *planner) count(t model.Tier, members []string) {
	p.sets[t] = append(p.sets[t], members)
	for _, node := range members {
		p.load[node]++
	}
}

// writable reports whether every member takes appends. A follower that has not
// answered in this look is the primary's business, which watches it.
func (p *planner) writable(row *messages.VolumeRow) (Usable, bool) {
	u := Usable{Volume: row.Id, Generation: row.Generation, Tier: model.Tier(row.Tier)}
	for i, m := range row.Members {
		u.Members = append(u.Members, m.Node)
		w := p.byNode[m.Node]
		if w == nil || w.State >= messages.WorkerState_UNREACHABLE || i == 0 && !w.Reached {
			return u, false
		}
		if !w.Reached {
			continue
		}
		r := w.Reports[row.Id]
		if r == nil || !r.Writable || r.Damage != "" || r.Generation != row.Generation {
			return u, false
		}
		if i == 0 {
			u.End = r.End
		}
	}
	return u, true
}

// judge decides about an open volume that is not writable; wait: nothing can be
// done now.
func (p *planner) judge(row *messages.VolumeRow) (a Action, wait bool) {
	base := Action{Volume: row.Id, Generation: row.Generation, Tier: model.Tier(row.Tier), Start: row.GenerationStart}
	reached, away := 0, 0
	var reports []*messages.VolumeReport
	for _, m := range row.Members {
		base.Members = append(base.Members, m.Node)
		w := p.byNode[m.Node]
		switch {
		case w == nil || w.State >= messages.WorkerState_UNREACHABLE:
			away++
		case w.Reached:
			reached++
		}
		if w == nil || !w.Reached {
			continue
		}
		if r := w.Reports[row.Id]; r != nil {
			reports = append(reports, r)
			if r.Damage == "" && r.Generation == row.Generation {
				base.Reachable = append(base.Reachable, m.Node)
			}
		}
	}
	switch {
	case p.in.Fresh[row.Id] && len(reports) == 0 && reached == len(row.Members):
		base.Kind = Open
		return base, !p.accepts(base.Members)
	case reached == 0 && away < len(row.Members):
		return base, true // its holders are only away; they may be back
	case reached == 0:
		return sealed(base, "its holders are gone"), false
	case len(row.Members) == 1:
		return p.judgeSingle(row, base, reports)
	}
	return sealed(base, causeOf(base, reports, reached)), false
}

func sealed(a Action, cause string) Action {
	a.Kind, a.Cause = Seal, cause
	return a
}

// causeOf names why a volume of several members is sealed.
func causeOf(a Action, reports []*messages.VolumeReport, reached int) string {
	for _, r := range reports {
		switch {
		case r.Full:
			return CauseFull
		case r.Damage != "":
			return r.Damage
		case r.Suspect != "":
			return "the member " + r.Suspect + " failed"
		case r.Stopped:
			return "its disk or its actor failed"
		case r.Fenced:
			return "it was fenced and the seal was not logged"
		}
	}
	if reached < len(a.Members) {
		return "a member is away"
	}
	return "a member was restarted"
}

// judgeSingle decides about a volume whose only member answered.
func (p *planner) judgeSingle(row *messages.VolumeRow, a Action, reports []*messages.VolumeReport) (Action, bool) {
	fresh, open, reopen := p.in.Fresh[row.Id], a, a
	open.Kind, reopen.Kind = Open, Reopen
	full := !p.accepts(a.Members) // a full disk cannot take a new generation; it waits for space
	if len(reports) == 0 {
		switch {
		case fresh:
			return open, full
		case row.CommittedEnd == 0:
			// Nothing is named in it. A new generation all the same: an append that is
			// still on its way names the old one.
			return reopen, full
		}
		return sealed(a, "the worker has no file for it"), false
	}
	switch r := reports[0]; {
	case r.Damage != "":
		return sealed(a, r.Damage), false
	case r.Generation > row.Generation:
		return sealed(a, "the worker's file is of a generation the catalog does not know"), false
	case r.Full:
		return sealed(a, CauseFull), false
	case r.Stopped:
		return sealed(a, "its disk or its actor failed"), false
	case r.Fenced:
		return sealed(a, "it was fenced and the seal was not logged"), false
	case r.Generation < row.Generation && r.End >= row.GenerationStart:
		// The new generation was logged and the worker never opened it, so nothing
		// was appended in it.
		return open, full
	default:
		reopen.Recovered = r.End
		return reopen, full
	}
}

func (p *planner) accepts(members []string) bool {
	for _, node := range members {
		if w := p.byNode[node]; w == nil || w.Writable == 0 {
			return false
		}
	}
	return true
}

// create adds volumes until each tier has enough.
func (p *planner) create() {
	for _, t := range model.Tiers {
		for n := p.coming[t]; n < p.in.PerTier; n++ {
			members, why := p.choose(t)
			if len(members) == 0 {
				if n == 0 {
					p.short[t] = why
				}
				break
			}
			p.count(t, members)
			p.actions = append(p.actions, Action{Kind: Create, Tier: t, Members: members, Cause: why})
		}
	}
}

// widen seals one volume that has fewer copies than it could have by now, while
// its tier has another, so that the next is made with more.
func (p *planner) widen() {
	if len(p.actions) > 0 || !p.in.Widen {
		return
	}
	for _, u := range p.usable {
		wanted := p.wanted(u.Tier)
		if len(u.Members) >= wanted {
			continue
		}
		if members, _ := p.choose(u.Tier); len(members) > len(u.Members) {
			p.actions = append(p.actions, Action{
				Kind: Seal, Volume: u.Volume, Generation: u.Generation, Tier: u.Tier, Members: u.Members, Reachable: u.Members,
				Cause: CauseMoreCopies,
			})
			return
		}
	}
}
