package main

import (
	"fmt"
	"io"
	"runtime"
	"sort"
	"strings"
	"time"
)

// throughput is operations and megabytes (10⁶ bytes) of content per second.
func (m measurement) throughput() (operations, megabytes float64) {
	if m.Seconds <= 0 {
		return 0, 0
	}
	return float64(m.Operations) / m.Seconds, float64(m.Moved) / 1e6 / m.Seconds
}

// failed counts operations whose answer was not right.
func (m measurement) failed() (n uint64) {
	for _, count := range m.Failures {
		n += count
	}
	return n
}

// failureList is "code ×n" for each code, sorted, or a dash.
func (m measurement) failureList() string {
	var list []string
	for code, n := range m.Failures {
		list = append(list, fmt.Sprintf("%s ×%d", code, n))
	}
	sort.Strings(list)
	if len(list) == 0 {
		return "–"
	}
	return strings.Join(list, ", ")
}

// perOperation divides processor time among the operations.
func (m measurement) perOperation(cpu time.Duration) string {
	if m.Operations == 0 || cpu == 0 {
		return "?"
	}
	return microseconds(cpu / time.Duration(m.Operations))
}

// table writes measurements as a markdown table.
func table(w io.Writer, all []measurement) error {
	rows := []string{
		"| workload | sync | conns | ops/s | MB/s | p50 µs | p99 µs | p99.9 µs | server CPU µs/op | client CPU µs/op | server peak MiB | errors |",
		"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
	}
	for _, m := range all {
		operations, megabytes := m.throughput()
		peak := "?"
		if m.ServerPeak > 0 {
			peak = fmt.Sprintf("%d", m.ServerPeak>>20)
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %d | %.0f | %.1f | %s | %s | %s | %s | %s | %s | %s |",
			m.Name, m.Sync, m.Connections, operations, megabytes,
			microseconds(m.P50), microseconds(m.P99), microseconds(m.P999),
			m.perOperation(m.ServerCPU), m.perOperation(m.ClientCPU), peak, m.failureList()))
	}
	_, err := io.WriteString(w, strings.Join(rows, "\n")+"\n")
	return err
}

// machine is a line about where the figures come from.
func machine() string {
	return fmt.Sprintf("%s, %d CPUs, %s, client on the same machine, %s\n",
		runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format("2006-01-02"))
}

func microseconds(d time.Duration) string { return fmt.Sprintf("%d", d.Microseconds()) }

// sizeName is a size for people, in binary units when it is a whole number of them.
func sizeName(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return fmt.Sprintf("%d %s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// syncMode says what is durable when a write of a tier is acknowledged on one node.
func syncMode(tier int) string {
	switch tier {
	case 1, 2:
		return fmt.Sprintf("tier %d: data and log fsynced", tier)
	case 3:
		return "tier 3: log fsynced, data not"
	}
	return "tier of the path (1): data and log fsynced"
}
