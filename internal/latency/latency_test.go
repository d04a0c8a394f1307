package latency

import (
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestHistogram_QuantilesAreWithinTheStatedError(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var whole, half Histogram
	var samples []time.Duration
	for i := range 20_000 {
		d := time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		samples = append(samples, d)
		if i%2 == 0 {
			whole.Record(d)
		} else {
			half.Record(d)
		}
	}
	whole.Merge(&half)
	assert.Equal(t, uint64(len(samples)), whole.Count())
	sort.Slice(samples, func(i, j int) bool { return samples[i] < samples[j] })
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := samples[max(int(q*float64(len(samples)))-1, 0)]
		assert.GreaterOrEqual(t, whole.Quantile(q), exact, "q %v", q)
		assert.LessOrEqual(t, float64(whole.Quantile(q)), float64(exact)*(1+MaxError)+1, "q %v", q)
	}
	assert.Equal(t, samples[len(samples)-1], whole.Max())
}

func TestHistogram_TakesWhatIsOutOfItsRangeAtTheEdge(t *testing.T) {
	var h, empty Histogram
	assert.Zero(t, h.Quantile(0.5))
	assert.Zero(t, h.Count())
	h.Merge(&empty)
	assert.Zero(t, h.Count())
	h.Record(-time.Second)
	assert.Zero(t, h.Quantile(1))
	h.Record(1000 * time.Hour)
	assert.Equal(t, 24*time.Hour, h.Quantile(1))
	assert.Equal(t, uint64(2), h.Count())
}
