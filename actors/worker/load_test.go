package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLoad_IsWhatTheSystemCountsAndElseWhatTheVolumesDid(t *testing.T) {
	counted := func(ms int) diskCounter { return diskCounter{busy: time.Duration(ms) * time.Millisecond, known: true} }
	type report struct {
		volumesMs int
		disk      diskCounter
		want      float64
	}
	for name, reports := range map[string][]report{
		"no counter":                   {{200, diskCounter{}, 0.2}, {0, diskCounter{}, 0}, {3000, diskCounter{}, 1}},
		"the counter wins":             {{200, counted(10_000), 0.2}, {200, counted(10_900), 0.9}, {0, counted(10_900), 0}},
		"it comes and goes":            {{0, counted(100), 0}, {300, diskCounter{}, 0.3}, {300, counted(5000), 0.3}, {300, counted(5100), 0.1}},
		"it began anew":                {{0, counted(100), 0}, {300, counted(20), 0.3}},
		"more than the time there was": {{0, counted(100), 0}, {0, counted(2000), 1}},
	} {
		t.Run(name, func(t *testing.T) {
			l, now := load{}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			l.at = now
			for i, r := range reports {
				now = now.Add(time.Second)
				l.volumesNs.Store(int64(r.volumesMs) * int64(time.Millisecond))
				l.measure(now, r.disk)
				assert.InDelta(t, r.want, l.whole, 1e-9, "report %d", i)
			}
			l.measure(now, diskCounter{})
			assert.Zero(t, l.whole, "no time has passed")
		})
	}
}
