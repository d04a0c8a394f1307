package load

import (
	"errors"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/internal/latency"
)

// tally counts requests of one kind. It is used by one goroutine.
type tally struct {
	latency    latency.Histogram // of requests that were answered right
	moved      int64
	verified   uint64
	unfinished uint64 // cut off by an interruption
	failed     map[model.Code]*failures
	retries    map[model.Code]uint64
	waited     time.Duration // between attempts, of all connections together
	durability map[durability]uint64
}

// failures of one code, and the first of them.
type failures struct {
	count uint64
	first error
}

// durability is what a receipt says of the copies at the time of the answer.
type durability struct {
	asked, achieved, wanted, durable int
	limitedBy                        string
}

func durabilityOf(t client.TierState) durability {
	d := durability{achieved: t.Achieved, asked: t.Achieved, wanted: t.CopiesWanted, durable: t.CopiesDurable, limitedBy: t.LimitedBy}
	if t.Asked != nil {
		d.asked = *t.Asked
	}
	return d
}

func newTally() tally {
	return tally{failed: map[model.Code]*failures{}, retries: map[model.Code]uint64{}, durability: map[durability]uint64{}}
}

func (t *tally) done(took time.Duration, moved int64) {
	t.latency.Record(took)
	t.moved += moved
}

func (t *tally) fail(err error) {
	code := model.CodeOf(err)
	if t.failed[code] == nil {
		t.failed[code] = &failures{first: err}
	}
	t.failed[code].count++
}

func (t *tally) retry(err error, wait time.Duration) {
	t.retries[model.CodeOf(err)]++
	t.waited += wait
}

// add adds what other counted.
func (t *tally) add(other *tally) {
	t.latency.Merge(&other.latency)
	t.moved += other.moved
	t.verified += other.verified
	t.unfinished += other.unfinished
	t.waited += other.waited
	for code, f := range other.failed {
		if t.failed[code] == nil {
			t.failed[code] = &failures{first: f.first}
		}
		t.failed[code].count += f.count
	}
	for code, n := range other.retries {
		t.retries[code] += n
	}
	for d, n := range other.durability {
		t.durability[d] += n
	}
}

// empty: nothing was even begun.
func (t *tally) empty() bool {
	return t.latency.Count() == 0 && t.unfinished == 0 && len(t.failed) == 0 && len(t.retries) == 0
}

// example is one failure, of the code that occurred most often.
func (t *tally) example() error {
	most := &failures{first: errors.New("no request was answered")}
	for _, f := range t.failed {
		if f.count > most.count {
			most = f
		}
	}
	return most.first
}
