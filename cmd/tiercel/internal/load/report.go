package load

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// Report is what a run measured.
type Report struct {
	Directory   string   `json:"directory"`
	SizeBytes   int64    `json:"size_bytes"`
	Connections int      `json:"connections"`
	Workloads   []Result `json:"workloads"`
	Stopped     string   `json:"stopped,omitempty"` // why not everything was tried
}

// Result is one workload; Parts are its requests by what they do, when there are
// several kinds.
type Result struct {
	Workload Workload `json:"workload"`
	Seconds  float64  `json:"seconds"` // until the last answer
	Figures
	Parts []Part `json:"parts,omitempty"`
	Note  string `json:"note,omitempty"`
}

// Part is the requests of one kind.
type Part struct {
	Operation string `json:"operation"` // put, get or delete
	Figures
}

// Figures of requests. Requests, throughput and latency are of those that were
// answered right; bytes are of content.
type Figures struct {
	Requests          uint64       `json:"requests"`
	RequestsPerSecond float64      `json:"requests_per_second"`
	MovedBytes        int64        `json:"moved_bytes"`
	BytesPerSecond    float64      `json:"bytes_per_second"`
	LatencyMs         Latency      `json:"latency_ms"` // waits for repetitions included
	Errors            []Failure    `json:"errors"`
	Retried           []Failure    `json:"retried"`        // attempts that were repeated
	WaitedSeconds     float64      `json:"waited_seconds"` // before repetitions, of all connections together
	UnfinishedCount   uint64       `json:"unfinished"`     // cut off by an interruption
	VerifiedReads     uint64       `json:"verified_reads"`
	Durability        []Durability `json:"durability"` // of writes, by their receipts
}

// Latency in milliseconds, quantiles too high by 1 % at most.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Failure is how often a code was met, and what the first one said.
type Failure struct {
	Code  model.Code `json:"code"`
	Count uint64     `json:"count"`
	First string     `json:"first,omitempty"`
}

// Durability is how many writes were acknowledged in which state.
type Durability struct {
	TierAsked     int    `json:"tier_asked"`
	TierAchieved  int    `json:"tier_achieved"`
	CopiesWanted  int    `json:"copies_wanted"`
	CopiesDurable int    `json:"copies_durable"`
	LimitedBy     string `json:"limited_by,omitempty"`
	Writes        uint64 `json:"writes"`
}

// OK reports whether all was tried and nothing failed.
func (r *Report) OK() bool {
	return r.Stopped == "" && !slices.ContainsFunc(r.Workloads, func(w Result) bool { return len(w.Errors) > 0 || w.UnfinishedCount > 0 })
}

// Unfinished is how many requests were cut off, so that nobody knows what they did.
func (r *Report) Unfinished() (n uint64) {
	for _, w := range r.Workloads {
		n += w.UnfinishedCount
	}
	return n
}

// stop notes why not everything was tried.
func (r *Report) stop(ctx context.Context, err error) {
	if ctx.Err() != nil {
		r.Stopped = "interrupted; what was measured until then is reported"
		return
	}
	r.Stopped = client.Message(err)
}

var kindNames = [kinds]string{storing: "put", fetching: "get", removing: "delete"}

// result sums up a phase.
func (o *outcome) result(w Workload) Result {
	all := newTally()
	var parts []Part
	for k := range o.kinds {
		if t := &o.kinds[k]; !t.empty() {
			all.add(t)
			parts = append(parts, Part{kindNames[k], t.figures(o.elapsed)})
		}
	}
	r := Result{Workload: w, Seconds: o.elapsed.Seconds(), Figures: all.figures(o.elapsed)}
	if len(parts) > 1 {
		r.Parts = parts
	}
	return r
}

func (t *tally) figures(elapsed time.Duration) Figures {
	f := Figures{
		Requests: t.latency.Count(), MovedBytes: t.moved, WaitedSeconds: t.waited.Seconds(), UnfinishedCount: t.unfinished, VerifiedReads: t.verified,
		Errors: []Failure{}, Retried: []Failure{}, Durability: []Durability{},
		LatencyMs: Latency{
			P50: ms(t.latency.Quantile(0.5)), P90: ms(t.latency.Quantile(0.9)), P99: ms(t.latency.Quantile(0.99)),
			P999: ms(t.latency.Quantile(0.999)), Max: ms(t.latency.Max()),
		},
	}
	if s := elapsed.Seconds(); s > 0 {
		f.RequestsPerSecond, f.BytesPerSecond = float64(f.Requests)/s, float64(t.moved)/s
	}
	for code, e := range t.failed {
		f.Errors = append(f.Errors, Failure{code, e.count, client.Message(e.first)})
	}
	for code, n := range t.retries {
		f.Retried = append(f.Retried, Failure{Code: code, Count: n})
	}
	for d, n := range t.durability {
		f.Durability = append(f.Durability, Durability{d.asked, d.achieved, d.wanted, d.durable, d.limitedBy, n})
	}
	byCount := func(a, b Failure) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code)) }
	slices.SortFunc(f.Errors, byCount)
	slices.SortFunc(f.Retried, byCount)
	slices.SortFunc(f.Durability, func(a, b Durability) int {
		return cmp.Or(cmp.Compare(b.Writes, a.Writes), cmp.Compare(b.CopiesDurable, a.CopiesDurable), cmp.Compare(a.TierAchieved, b.TierAchieved))
	})
	return f
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
