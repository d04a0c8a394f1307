package license

import (
	"fmt"
	"strings"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// WarnBefore is how long before its end a licence is warned of.
const WarnBefore = 30 * 24 * time.Hour

// The states of a licence.
const (
	StateNone    = "none"
	StateActive  = "active"
	StateExpired = "expired"
)

// Describe is what a licence allows in a cluster with so many data workers, and what
// people should know of it now.
func Describe(row *messages.LicenseRow, workers int, now time.Time) *messages.LicenseInfo {
	g := Of(row)
	info := &messages.LicenseInfo{Level: string(g.level), State: StateNone, License: row, MaxWorkers: g.MaxWorkers(), Workers: uint64(workers)}
	switch {
	case row == nil:
	case row.Expired:
		info.State = StateExpired
	default:
		info.State = StateActive
	}
	for _, r := range table {
		f := &messages.LicenseFeature{Name: string(r.feature), Title: r.title, Granted: g.Has(r.feature)}
		f.Level = string(lowestWith(r.feature, func(cell) bool { return true }))
		for _, t := range model.Tiers {
			if r.feature == Tiered && strings.Contains(at(g.level, Tiered).tiers, fmt.Sprint(t)) {
				f.Tiers = append(f.Tiers, uint32(t))
			}
		}
		info.Features = append(info.Features, f)
	}
	info.Warnings = g.warnings(row, workers, now)
	return info
}

// DescribeIn is Describe for a cluster whose workers are known by their rows.
func DescribeIn(row *messages.LicenseRow, nodes []string, workers []*messages.WorkerRow, now time.Time) *messages.LicenseInfo {
	info := Describe(row, CountWorkers(workers), now)
	info.Warnings = append(info.Warnings, Of(row).labelWarnings(nodes, workers)...)
	return info
}

// CountWorkers are those that count against a licence: all that have not left.
func CountWorkers(rows []*messages.WorkerRow) (n int) {
	for _, w := range rows {
		if w.State != messages.WorkerState_LEFT {
			n++
		}
	}
	return n
}

func (g Grant) warnings(row *messages.LicenseRow, workers int, now time.Time) (out []string) {
	if row != nil {
		ends := time.UnixMilli(row.ExpiresUnixMs).UTC()
		left := ends.Sub(now)
		switch {
		case row.Expired || left <= 0:
			out = append(out, fmt.Sprintf("the licence %s (%s) expired on %s: the cluster works at the level free. Reads, deletes, repair, drain and the "+
				"workers that are there go on; install a new one with `tiercel license install`", row.Id, row.Level, ends.Format(time.RFC3339)))
		case left <= WarnBefore:
			out = append(out, fmt.Sprintf("the licence %s (%s) expires on %s, in %s: from then on the cluster works at the level free",
				row.Id, row.Level, ends.Format(time.RFC3339), span(left)))
		}
	}
	if most := g.MaxWorkers(); most > 0 && uint64(workers) > most {
		out = append(out, fmt.Sprintf("%d data workers are there and the licence level %s allows %d: they stay, and no other is taken in", workers, g.level, most))
	}
	for _, t := range model.Tiers[:2] { // tier 3 has one copy anyway
		if d := g.DenyCopies(t); d != nil && workers > 1 {
			out = append(out, fmt.Sprintf("new volumes of tier %d have one copy, and nobody can ask for the tier by name: %s. Volumes that are open go on with the copies they have", t, Sentence(d.facts)))
		}
	}
	return out
}

// span is a duration for people.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return fmt.Sprintf("%d seconds", max(1, int(d.Seconds())))
}
