package license

import (
	"slices"
	"strconv"
	"strings"

	"tiercel/cluster/model"
)

// Level is what a licence was sold as.
type Level string

// The levels, each with all that those before it have. A cluster without a licence is free.
const (
	Free         Level = "free"
	Standard     Level = "standard"
	Professional Level = "professional"
	Enterprise   Level = "enterprise"
)

// Levels lists them in order.
var Levels = [...]Level{Free, Standard, Professional, Enterprise}

func (l Level) index() int { return slices.Index(Levels[:], l) }

// Known reports whether a level exists.
func (l Level) Known() bool { return l.index() >= 0 }

// Feature is one row of the table, by its name in the API.
type Feature string

// The features.
const (
	DataWorkers   Feature = "data_workers"
	Clustering    Feature = "storage_clustering"
	Tiered        Feature = "tiered_replication"
	Synchronous   Feature = "synchronous_replication"
	Failover      Feature = "master_failover"
	DiskPlacement Feature = "disk_aware_placement"
	AutoRebalance Feature = "auto_rebalancing"
	CrossDC       Feature = "cross_datacenter_replication"
	Quotas        Feature = "tenant_quotas"
)

// cell is what one level has of a feature: a number of workers, tiers, or yes and no.
type cell struct {
	has     bool
	workers uint64 // DataWorkers; 0: unlimited
	tiers   string // Tiered: digits
}

// row is one feature at each level, in the order of Levels.
type row struct {
	feature Feature
	title   string
	cells   [4]cell
}

var (
	no, yes   = cell{}, cell{has: true}
	unlimited = cell{has: true}
)

func upTo(n uint64) cell       { return cell{has: true, workers: n} }
func tiers(digits string) cell { return cell{has: true, tiers: digits} }

// table is the one place that says which level has what.
var table = []row{
	{DataWorkers, "data workers", [4]cell{upTo(1), upTo(2), upTo(5), unlimited}},
	{Clustering, "storage clustering", [4]cell{no, yes, yes, yes}},
	{Tiered, "tiered replication", [4]cell{no, tiers("23"), tiers("123"), tiers("123")}},
	{Synchronous, "synchronous replication (tier 1)", [4]cell{no, no, yes, yes}},
	{Failover, "master failover", [4]cell{no, no, yes, yes}},
	{DiskPlacement, "SSD/HDD-aware placement", [4]cell{no, no, yes, yes}},
	{AutoRebalance, "auto rebalancing", [4]cell{no, no, no, yes}},
	{CrossDC, "cross-datacenter replication", [4]cell{no, no, no, yes}},
	{Quotas, "per-tenant quotas", [4]cell{no, yes, yes, yes}},
}

// Features lists them in the order of the table.
func Features() []Feature {
	out := make([]Feature, len(table))
	for i, r := range table {
		out[i] = r.feature
	}
	return out
}

// Title is a feature for people.
func (f Feature) Title() string { return f.row().title }

func (f Feature) row() row {
	for _, r := range table {
		if r.feature == f {
			return r
		}
	}
	return row{feature: f, title: string(f)} // nobody has it
}

// at is what a level has of a feature; an unknown level has nothing.
func at(l Level, f Feature) cell {
	if i := l.index(); i >= 0 {
		return f.row().cells[i]
	}
	return no
}

// lowestWith is the first level for which has is true; empty: none.
func lowestWith(f Feature, has func(cell) bool) Level {
	for i, c := range f.row().cells {
		if c.has && has(c) {
			return Levels[i]
		}
	}
	return ""
}

// Markdown is the table as the documentation has it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| feature |")
	for _, l := range Levels {
		b.WriteString(" " + string(l) + " |")
	}
	b.WriteString("\n|---|---|---|---|---|\n")
	for _, r := range table {
		b.WriteString("| " + r.title + " |")
		for _, c := range r.cells {
			b.WriteString(" " + c.text(r.feature) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (c cell) text(f Feature) string {
	switch {
	case !c.has:
		return "–"
	case f == DataWorkers && c.workers == 0:
		return "unlimited"
	case f == DataWorkers:
		return strconv.FormatUint(c.workers, 10)
	case f == Tiered && len(c.tiers) == len(model.Tiers):
		return "all"
	case f == Tiered:
		return "tiers " + strings.Join(strings.Split(c.tiers, ""), " and ")
	}
	return "yes"
}
