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
