package shortage_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/license"
	"tiercel/cluster/shortage"
	"tiercel/messages"
)

// workers reads "a@h1 b@h2 c" and marks: "!" left, "~" evacuated, "-" drained.
func workers(text string) (nodes []string, rows []*messages.WorkerRow) {
	for _, f := range strings.Fields(text) {
		row := &messages.WorkerRow{State: messages.WorkerState_HEALTHY}
		switch f[len(f)-1] {
		case '!':
			row.State, f = messages.WorkerState_LEFT, f[:len(f)-1]
		case '~':
			row.State, f = messages.WorkerState_DECOMMISSIONED, f[:len(f)-1]
		case '-':
			row.Draining, f = true, f[:len(f)-1]
		}
		node, host, _ := strings.Cut(f, "@")
		row.Host = host
		nodes, rows = append(nodes, node), append(rows, row)
	}
	return nodes, rows
}

func cluster(level license.Level, change func(*messages.ClusterRow)) *messages.ClusterRow {
	c := &messages.ClusterRow{ReplicationFactor: 2, Failover: true, Tiers: []*messages.TierRow{{Tier: 1}, {Tier: 2}, {Tier: 3}}}
	if level != license.Free {
		c.License = &messages.LicenseRow{Id: "l", Level: string(level), ExpiresUnixMs: 1}
	}
	if change != nil {
		change(c)
	}
	return c
}

func TestOf_NamesWhatTheWorkersThatStayCannotGive(t *testing.T) {
	const failover, tier1, tier2, waits1 = "no other node takes over", "the critical tier asks for", "the important tier asks for", "writes of the critical tier wait"
	set := func(tier, copies, least uint32) func(*messages.ClusterRow) {
		return func(c *messages.ClusterRow) { c.Tiers[tier-1].Copies, c.Tiers[tier-1].MinCopies = copies, least }
	}
	for _, c := range []struct {
		what    string
		level   license.Level
		change  func(*messages.ClusterRow)
		workers string
		want    []string
	}{
		{"three on hosts of their own", license.Enterprise, nil, "a@1 b@2 c@3", nil},
		{"without labels each stands alone", license.Enterprise, nil, "a b c", nil},
		{"three on two hosts", license.Enterprise, nil, "a@1 b@1 c@2", []string{tier1}},
		{"one is drained", license.Enterprise, nil, "a@1 b@2 c@3-", []string{tier1, failover}},
		{"one has left", license.Enterprise, nil, "a@1 b@2 c@3!", []string{tier1, failover}},
		{"one was evacuated", license.Enterprise, nil, "a@1 b@2 c@3~", []string{tier1, failover}},
		{"a fourth takes its place", license.Enterprise, nil, "a@1 b@2 c@3! d@4", nil},
		{"one alone: nothing else is to be expected of failover", license.Enterprise, nil, "a@1", []string{tier1, tier2}},
		{"the free licence has one copy and no failover", license.Free, nil, "a@1", nil},
		{"the founder wanted no failover", license.Enterprise, func(c *messages.ClusterRow) { c.Failover = false }, "a@1 b@2", []string{tier1}},
		{"more copies than hosts", license.Enterprise, set(2, 5, 0), "a@1 b@2 c@3", []string{tier2}},
		{"more copies before the answer than hosts", license.Enterprise, set(1, 4, 4), "a@1 b@2 c@3", []string{waits1, tier1}},
		{"fewer copies", license.Enterprise, set(1, 2, 0), "a@1 b@2", []string{failover}},
	} {
		nodes, rows := workers(c.workers)
		got := shortage.Of(cluster(c.level, c.change), nodes, rows)
		assert.Equal(t, slices.Contains(c.want, waits1), shortage.Waits(cluster(c.level, c.change), nodes, rows), c.what)
		require.Len(t, got, len(c.want), "%s: %q", c.what, got)
		for i := range got {
			assert.True(t, strings.HasPrefix(got[i], c.want[i]), "%s: %q", c.what, got[i])
		}
	}
	assert.Empty(t, shortage.Of(nil, nil, nil), "nothing is known")
}

func TestOf_SaysHowManyThereAreAndWhatToDo(t *testing.T) {
	nodes, rows := workers("a@1 b@2 c@2")
	assert.Equal(t, []string{
		"the critical tier asks for 3 copies on hosts of their own, and there are workers on 2: files have no more than that; add workers, or lower copies of tier 1",
	}, shortage.Of(cluster(license.Enterprise, nil), nodes, rows))
}

func TestNew_IsWhatAChangeBringsAbout(t *testing.T) {
	assert.Equal(t, []string{"b"}, shortage.New([]string{"a"}, []string{"a", "b"}))
	assert.Empty(t, shortage.New([]string{"a"}, []string{"a"}))
}
