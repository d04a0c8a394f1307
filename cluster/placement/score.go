package placement

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// Worker is a node that may hold copies, as the master knows it at this moment.
type Worker struct {
	Node    string
	State   messages.WorkerState
	Suspect string // why it gets nothing new for now; empty: nothing is held against it
	Failing string // what its disk failed with; empty: it did not
	// Watermark says that too much of the disk is used for new volumes; empty: it is not.
	Watermark string
	// ReadOnlyShare is the configured used share from which on it takes nothing; 0: none.
	ReadOnlyShare float64
	Reached       bool // it answered the newest round of reports
	// Draining: it is being emptied on request.
	Draining bool
	// Writable is what new content may take, above the reserve, in bytes; Known is
	// false while it has not reported its disk.
	Known       bool
	Writable    uint64
	Free, Total uint64 // bytes of the disk
	// Low: too little is writable for another volume, and those that are open had better
	// go on elsewhere.
	Low        bool
	DiskType   string // nvme, ssd, hdd; empty: not known
	DC         string // labels; empty: none
	Rack       string
	Host       string
	IOLoad     float64 // 0..1; negative: not known
	Latency    time.Duration
	HasLatency bool
	// Open is how many volumes it is a member of that take writes: what it is given
	// now shows in no report yet.
	Open int
}

// Weights of the four terms; they sum to 1.
type Weights struct{ Free, Disk, Load, Latency float64 }

// DefaultWeights are those of DESIGN "Placement".
func DefaultWeights() Weights { return Weights{Free: 0.40, Disk: 0.30, Load: 0.20, Latency: 0.10} }

// Check refuses weights that are no shares of one whole.
func (w Weights) Check() error {
	sum := 0.0
	for _, share := range [...]float64{w.Free, w.Disk, w.Load, w.Latency} {
		if !(share >= 0 && share <= 1) {
			return model.Errorf(model.CodeInvalidArgument, "placement weights", "each weight must be between 0 and 1")
		}
		sum += share
	}
	if sum < 0.999 || sum > 1.001 {
		return model.Errorf(model.CodeInvalidArgument, "placement weights", "the weights sum to %.3f; they must sum to 1", sum)
	}
	return nil
}

// Terms are the parts of a score, each 0..1, before they are weighted.
type Terms struct{ Free, Disk, Load, Latency float64 }

// Judgement is what becomes of one worker in one choice.
type Judgement struct {
	Node    string
	Terms   Terms
	Score   float64 // weighted sum, less what its open volumes cost
	Open    int
	Refusal Refusal // why it cannot be chosen; empty: it can
	Detail  string  // of the refusal
	Chosen  int     // its place in the choice, from 1; 0: not chosen
}

// Refusal names the filter that kept a worker out.
type Refusal string

// The filters, in the order in which they are asked.
const (
	NotHealthy     Refusal = "not_healthy"
	Drained        Refusal = "draining"
	Unreached      Refusal = "no_report"
	FailingDisk    Refusal = "failing_disk"
	Suspected      Refusal = "suspect"
	AboveWatermark Refusal = "above_watermark"
	Full           Refusal = "full"
	TooSmall       Refusal = "too_small"
	SameHost       Refusal = "same_host"
)

const (
	// openCost is taken off a score for each volume that a worker has open already. It
	// lies between the differences inside a class of disks and those between classes:
	// equals take turns, and an SSD is still preferred to a disk it outclasses.
	openCost = 0.05
	// unknown stands for a term that was never measured.
	unknown = 0.5
	// farAway is the latency from which on the term is 0.
	farAway = 20 * time.Millisecond
)

// diskMatch is how well a type of disk suits a tier: SSD first for what is worth
// something, HDD first for what can be rebuilt (DESIGN "Tiers"), unless the tier's row
// has a preference of its own.
func diskMatch(t model.Tier, preference, diskType string) float64 {
	type match struct{ nvme, ssd, hdd float64 }
	m := match{1, 0.9, 0}
	switch t {
	case model.TierImportant:
		m = match{1, 0.95, 0.5}
	case model.TierRebuildable:
		m = match{0.1, 0.3, 1}
	}
	switch preference {
	case "nvme":
		m = match{1, 0.5, 0}
	case "ssd":
		m = match{1, 1, 0}
	case "hdd":
		m = match{0.1, 0.3, 1}
	case "any":
		m = match{1, 1, 1}
	}
	switch diskType {
	case "nvme":
		return m.nvme
	case "ssd":
		return m.ssd
	case "hdd":
		return m.hdd
	}
	return unknown
}

// Score weighs one worker for a volume of a tier; preference is a type of disk, any,
// or empty for the tier's own.
func Score(t model.Tier, preference string, w *Worker, by Weights) (Terms, float64) {
	terms := Terms{Disk: diskMatch(t, preference, w.DiskType), Load: unknown, Latency: unknown}
	if w.Total > 0 {
		terms.Free = min(1, float64(w.Free)/float64(w.Total))
	}
	if w.IOLoad >= 0 {
		terms.Load = 1 - min(1, w.IOLoad)
	}
	if w.HasLatency {
		terms.Latency = 1 - min(1, float64(max(0, w.Latency))/float64(farAway))
	}
	score := by.Free*terms.Free + by.Disk*terms.Disk + by.Load*terms.Load + by.Latency*terms.Latency
	return terms, score - openCost*float64(w.Open)
}

// refuse asks the filters that do not depend on who else is chosen.
func refuse(w *Worker, bytes uint64) (Refusal, string) {
	switch {
	case w.State != messages.WorkerState_HEALTHY:
		return NotHealthy, "it is " + messages.StateName(w.State)
	case w.Draining:
		return Drained, "it is being drained"
	case !w.Reached || !w.Known:
		return Unreached, "it has not reported to this master"
	case w.Failing != "":
		return FailingDisk, w.Failing
	case w.Suspect != "":
		return Suspected, w.Suspect
	case w.Watermark != "":
		return AboveWatermark, w.Watermark
	case w.Writable == 0:
		return Full, "its disk is full " + FullUpTo(w.Total, w.Free, w.ReadOnlyShare)
	case w.Low:
		return Full, fmt.Sprintf("%d bytes are writable, too little for another volume", w.Writable)
	case w.Writable < bytes:
		return TooSmall, fmt.Sprintf("%d bytes are writable, %d are asked for", w.Writable, bytes)
	}
	return "", ""
}

// Request is one choice.
type Request struct {
	Tier       model.Tier
	Bytes      uint64 // that must fit now
	Copies     int    // wanted
	Preference string // of disk, from the tier's row; empty: the tier's own
	// Taken are the member sets of the tier's open volumes: another set is preferred.
	Taken [][]string
	// Beside are nodes that hold a copy already and keep it: what is chosen goes onto
	// other hosts, and away from their racks and datacenters where that is possible.
	Beside []string
}

// Pick judges every worker and chooses members, the best first. There may be fewer
// than were asked for; the caller knows how few are too few. judged is ordered:
// chosen, eligible by score, refused by name. Ties go to the lower node id, so the
// same input gives the same choice.
func Pick(req Request, workers []Worker, by Weights) (members []string, judged []Judgement) {
	byNode := make(map[string]*Worker, len(workers))
	for i := range workers {
		w := &workers[i]
		if w.State == messages.WorkerState_LEFT {
			continue // nobody's any more: not even one that is refused
		}
		byNode[w.Node] = w
		j := Judgement{Node: w.Node, Open: w.Open}
		j.Terms, j.Score = Score(req.Tier, req.Preference, w, by)
		j.Refusal, j.Detail = refuse(w, req.Bytes)
		judged = append(judged, j)
	}
	slices.SortFunc(judged, order)
	d := newDomains()
	for _, node := range req.Beside {
		if w := byNode[node]; w != nil {
			d.use(w)
		}
	}
	members = choose(req.Copies, judged, byNode, d)
	members = distinct(req, members, judged, byNode, d)
	lowest := math.Inf(1)
	for _, j := range judged {
		if slices.Contains(members, j.Node) {
			lowest = min(lowest, j.Score)
		}
	}
	for i := range judged {
		j := &judged[i]
		switch {
		case slices.Contains(members, j.Node):
			j.Chosen = slices.Index(members, j.Node) + 1
		case j.Refusal == "" && d.sameHost(byNode[j.Node]):
			j.Refusal, j.Detail = SameHost, "another copy is on its host "+byNode[j.Node].Host
		case j.Refusal == "" && j.Score > lowest:
			j.Detail = "a copy in another rack or datacenter, or on a set of workers that no open volume has, comes before a higher score"
		}
	}
	slices.SortStableFunc(judged, func(a, b Judgement) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), order(a, b))
	})
	return members, judged
}

func order(a, b Judgement) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.Node, b.Node))
}

// rank groups judgements: chosen in their order, then eligible, then refused.
func rank(j Judgement) int {
	switch {
	case j.Chosen > 0:
		return j.Chosen
	case j.Refusal == "":
		return 1 << 20
	}
	return 1 << 21
}

// choose takes the best of those that bring a new datacenter, else a new rack, else
// only a new host.
func choose(copies int, judged []Judgement, byNode map[string]*Worker, d *domains) (members []string) {
	for len(members) < copies {
		best, level := "", 0
		for _, j := range judged {
			w := byNode[j.Node]
			if j.Refusal != "" || slices.Contains(members, j.Node) || d.sameHost(w) {
				continue
			}
			if l := d.brings(w); best == "" || l > level {
				best, level = j.Node, l
			}
		}
		if best == "" {
			break
		}
		members = append(members, best)
		d.use(byNode[best])
	}
	return members
}

// distinct exchanges the last member for the next best while an open volume of the
// tier has the same set; when every exchange is taken too, the best set stays.
func distinct(req Request, members []string, judged []Judgement, byNode map[string]*Worker, d *domains) []string {
	if len(members) == 0 || !taken(req.Taken, members) {
		return members
	}
	last := len(members) - 1
	without := newDomains()
	for _, node := range slices.Concat(req.Beside, members[:last]) {
		if w := byNode[node]; w != nil {
			without.use(w)
		}
	}
	level := without.brings(byNode[members[last]])
	for _, j := range judged {
		w := byNode[j.Node]
		if j.Refusal != "" || slices.Contains(members, j.Node) || without.sameHost(w) || without.brings(w) < level {
			continue
		}
		other := append(slices.Clone(members[:last]), j.Node)
		if !taken(req.Taken, other) {
			*d = *without
			d.use(w)
			return other
		}
	}
	return members
}

// taken reports whether one of sets has the same members, in whatever order.
func taken(sets [][]string, members []string) bool {
	own := slices.Sorted(slices.Values(members))
	for _, set := range sets {
		if slices.Equal(slices.Sorted(slices.Values(set)), own) {
			return true
		}
	}
	return false
}

// domains are the failure domains in use.
type domains struct{ hosts, racks, dcs map[string]bool }

func newDomains() *domains {
	return &domains{hosts: make(map[string]bool), racks: make(map[string]bool), dcs: make(map[string]bool)}
}

func (d *domains) use(w *Worker) {
	d.hosts[hostOf(w)], d.racks[w.DC+"\x00"+w.Rack], d.dcs[w.DC] = true, true, true
}

// hostOf is the failure domain of a worker; one without a label stands alone.
func hostOf(w *Worker) string {
	if w.Host == "" {
		return "\x00" + w.Node
	}
	return w.Host
}

func (d *domains) sameHost(w *Worker) bool { return d.hosts[hostOf(w)] }

// brings is 2 for a new datacenter, 1 for a new rack, 0 for neither.
func (d *domains) brings(w *Worker) int {
	switch {
	case !d.dcs[w.DC]:
		return 2
	case !d.racks[w.DC+"\x00"+w.Rack]:
		return 1
	}
	return 0
}

// Decision is the choice in words, for the volume's row: the chosen workers with
// their terms, and how many were eligible.
func Decision(judged []Judgement, copies int) string {
	var b strings.Builder
	eligible := 0
	for _, j := range judged {
		if j.Refusal == "" || j.Chosen > 0 {
			eligible++
		}
		if j.Chosen == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %.2f (free %.2f, disk %.2f, load %.2f, latency %.2f, %d open)",
			j.Node, j.Score, j.Terms.Free, j.Terms.Disk, j.Terms.Load, j.Terms.Latency, j.Open)
	}
	fmt.Fprintf(&b, "; %d of %d workers eligible, %d copies wanted", eligible, len(judged), copies)
	return b.String()
}
