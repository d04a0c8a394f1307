package roster_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/roster"
	"tiercel/messages"
)

func peer(node string, changedAt uint64) *messages.Peer {
	return &messages.Peer{Node: node, Address: fmt.Sprintf("%s:%d", node, changedAt), ChangedAt: changedAt}
}

func names(peers []*messages.Peer) (out []string) {
	for _, p := range peers {
		out = append(out, fmt.Sprintf("%s@%d", p.Node, p.ChangedAt))
	}
	return out
}

func TestRoster_TellsWhatChangedAfterAnIndexInThatOrder(t *testing.T) {
	var r roster.Roster
	assert.Zero(t, r.Newest())
	for _, p := range []*messages.Peer{peer("b", 20), peer("a", 10), peer("c", 30), peer("a", 40)} {
		require.True(t, r.Put(p))
	}
	for _, c := range []struct {
		after uint64
		limit int
		want  []string
		upTo  uint64
	}{
		{0, 10, []string{"b@20", "c@30", "a@40"}, 40},
		{0, 2, []string{"b@20", "c@30"}, 30},
		{19, 10, []string{"b@20", "c@30", "a@40"}, 40},
		{20, 10, []string{"c@30", "a@40"}, 40},
		{30, 10, []string{"a@40"}, 40},
		{40, 10, nil, 40},
		{50, 10, nil, 50},
	} {
		got, upTo := r.After(c.after, c.limit)
		assert.Equal(t, c.want, names(got), "after %d", c.after)
		assert.Equal(t, c.upTo, upTo, "after %d", c.after)
	}
	assert.EqualValues(t, 40, r.Newest())
}

func TestRoster_RefusesWhatIsOldOrHearsay(t *testing.T) {
	var r roster.Roster
	assert.False(t, r.Put(peer("a", 0)), "nobody knows when that was")
	require.True(t, r.Put(peer("a", 10)))
	assert.False(t, r.Put(peer("a", 10)))
	assert.False(t, r.Put(peer("a", 9)))
	assert.True(t, r.Knows("a", 10))
	assert.False(t, r.Knows("a", 11))
	r.Drop("a")
	r.Drop("nobody")
	assert.Empty(t, r.All())
	assert.False(t, r.Knows("a", 10))
}

// TestRoster_PagesBringAnybodyUpToDate: whoever follows After from anywhere, whatever
// changes meanwhile, ends with what the roster has.
func TestRoster_PagesBringAnybodyUpToDate(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var r roster.Roster
		index, known := uint64(0), uint64(0)
		have := make(map[string]string)
		change := func() {
			index += 1 + random.Uint64N(3)
			r.Put(peer(fmt.Sprintf("n-%d", random.IntN(30)), index))
		}
		for range 200 {
			change()
			if random.IntN(4) == 0 {
				page, upTo := r.After(known, 1+random.IntN(5))
				for _, p := range page {
					have[p.Node] = p.Address
				}
				known = upTo
			}
		}
		for known < r.Newest() {
			page, upTo := r.After(known, 3)
			for _, p := range page {
				have[p.Node] = p.Address
			}
			known = upTo
		}
		want := make(map[string]string)
		for _, p := range r.All() {
			want[p.Node] = p.Address
		}
		require.Equal(t, want, have, "seed %d", seed)
	}
}
