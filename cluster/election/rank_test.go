package election

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"tiercel/messages"
)

func TestRank_OrdersByHealthThenDiskThenFreeClassThenName(t *testing.T) {
	good := Candidate{State: messages.WorkerState_HEALTHY, Licensed: true, Voter: true, DiskType: "ssd", Free: 50, Total: 100}
	with := func(node string, change func(*Candidate)) Candidate {
		c := good
		c.Node = node
		change(&c)
		return c
	}
	ranked := Rank([]Candidate{
		with("left", func(c *Candidate) { c.State = messages.WorkerState_LEFT }),
		with("no vote", func(c *Candidate) { c.Voter = false }),
		with("no licence", func(c *Candidate) { c.Licensed = false; c.DiskType = "nvme" }),
		with("degraded nvme", func(c *Candidate) { c.State = messages.WorkerState_DEGRADED; c.DiskType = "nvme" }),
		with("hdd", func(c *Candidate) { c.DiskType = "hdd"; c.Free = 99 }),
		with("full ssd", func(c *Candidate) { c.Free = 4 }),
		with("b ssd, a little fuller", func(c *Candidate) { c.Free = 30 }),
		with("a ssd", func(c *Candidate) {}),
		with("nvme", func(c *Candidate) { c.DiskType = "nvme" }),
	})
	var order []string
	for i, c := range ranked {
		order = append(order, c.Node)
		assert.EqualValues(t, i, c.Rank)
		assert.Equal(t, i >= 6, c.Refusal != "", c.Node)
	}
	assert.Equal(t, []string{"nvme", "a ssd", "b ssd, a little fuller", "full ssd", "hdd", "degraded nvme", "no licence", "no vote", "left"}, order)
}

func TestCampaignDelay_GivesTheBetterCandidateAHeadStart(t *testing.T) {
	assert.Equal(t, 75*time.Millisecond, CampaignDelay(0, 50*time.Millisecond), "when all others have had a tick")
	assert.Equal(t, 275*time.Millisecond, CampaignDelay(2, 50*time.Millisecond))
	assert.Equal(t, CampaignDelay(16, time.Second), CampaignDelay(1000, time.Second), "bounded")
}

func TestHandsOver_ToOneThatIsBetterByClassUnlessAnOperatorPromotedTheMaster(t *testing.T) {
	hdd := Candidate{Node: "hdd", State: messages.WorkerState_HEALTHY, Licensed: true, Voter: true, DiskType: "hdd", Free: 50, Total: 100}
	ssd, other := hdd, hdd
	ssd.Node, ssd.DiskType, other.Node = "ssd", "ssd", "a"
	with := func(c Candidate, change func(*Candidate)) Candidate { change(&c); return c }
	for _, c := range []struct {
		what       string
		self, best Candidate
		promoted   bool
		want       bool
	}{
		{"better by disk", hdd, ssd, false, true},
		{"better by name only", hdd, other, false, false},
		{"itself", hdd, hdd, false, false},
		{"worse", ssd, hdd, false, false},
		{"better, but it does not vote", hdd, with(ssd, func(c *Candidate) { c.Voter = false }), false, false},
		{"promoted", hdd, ssd, true, false},
		{"promoted, and degraded since", with(hdd, func(c *Candidate) { c.State = messages.WorkerState_DEGRADED }), ssd, true, true},
		{"promoted, with next to no room for its log", with(hdd, func(c *Candidate) { c.Free = 4 }), ssd, true, true},
		{"promoted, not much room", with(hdd, func(c *Candidate) { c.Free = 6 }), ssd, true, false},
	} {
		assert.Equal(t, c.want, HandsOver(c.self, c.best, c.promoted), c.what)
	}
}
