package httpapi

import (
	"strconv"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// tierAnswer is one tier as /tiers shows it, with its defaults filled in.
type tierAnswer struct {
	ID             model.Tier `json:"id"`
	Name           string     `json:"name"`
	Replication    string     `json:"replication"`
	Copies         uint32     `json:"copies"`
	Consistency    string     `json:"consistency"`
	MinCopies      uint32     `json:"min_copies"`
	DiskPreference string     `json:"disk_preference"`
	Prefixes       []string   `json:"prefixes"`
	Suffixes       []string   `json:"suffixes"`
	Defaults       []string   `json:"defaults"`           // fields that nobody has set
	Files          *int64     `json:"files"`              // stored in it; null: this node cannot know now
	LogicalBytes   *int64     `json:"logical_bytes"`      // the same
	JobID          *string    `json:"job_id,omitempty"`   // that adapts the copies after a change
	Warnings       []string   `json:"warnings,omitempty"` // after a change: what the cluster cannot give then
}

func newTierAnswer(status *messages.ClusterStatusReply, tier model.Tier) tierAnswer {
	row := tierRow(status.GetCluster(), tier)
	a := tierAnswer{
		ID: tier, Name: tier.Name(), Copies: copiesOf(status.GetCluster(), tier), MinCopies: minCopiesOf(status, tier),
		DiskPreference: row.GetDiskPreference(), Defaults: []string{},
		Prefixes: append([]string{}, row.GetPrefixes()...), Suffixes: append([]string{}, row.GetSuffixes()...),
	}
	for _, u := range status.GetTiers() {
		if u.Tier == uint32(tier) {
			a.Files, a.LogicalBytes = &u.Files, &u.LogicalBytes
		}
	}
	a.Replication, a.Consistency = replicationOf(tier, a.Copies)
	if a.DiskPreference == "" {
		a.DiskPreference = map[model.Tier]string{model.TierCritical: "ssd", model.TierImportant: "any", model.TierRebuildable: "hdd"}[tier]
	}
	for _, f := range []struct {
		name  string
		unset bool
	}{{"copies", row.GetCopies() == 0}, {"min_copies", row.GetMinCopies() == 0}, {"disk_preference", row.GetDiskPreference() == ""}} {
		if f.unset {
			a.Defaults = append(a.Defaults, f.name)
		}
	}
	return a
}

// replicationOf names how copies are made and what an acknowledged write means: strong,
// every copy is durable; eventual, the primary is and followers catch up; best_effort,
// the primary has it.
func replicationOf(tier model.Tier, copies uint32) (replication, consistency string) {
	replication = map[model.Tier]string{model.TierCritical: "sync", model.TierImportant: "async", model.TierRebuildable: "async"}[tier]
	consistency = map[model.Tier]string{model.TierCritical: "strong", model.TierImportant: "eventual", model.TierRebuildable: "best_effort"}[tier]
	if copies < 2 {
		replication = "none"
	}
	return replication, consistency
}

// minCopiesOf is below how many copies a tier refuses writes: what its row says, else
// for tier 1 two, where there are two workers that have not left, and one for the rest.
func minCopiesOf(status *messages.ClusterStatusReply, tier model.Tier) uint32 {
	if row := tierRow(status.GetCluster(), tier); row.GetMinCopies() > 0 {
		return row.MinCopies
	}
	present := uint32(0)
	for _, w := range status.GetWorkers() {
		if w.State != messages.WorkerState_LEFT {
			present++
		}
	}
	if tier != model.TierCritical {
		return 1
	}
	return max(1, min(2, present))
}

// listTiers answers GET /tiers.
func (c *call) listTiers() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	status, err := c.s.gw.Cluster(ctx)
	if err != nil {
		return err
	}
	out := struct {
		Tiers []tierAnswer `json:"tiers"`
	}{}
	for _, t := range model.Tiers {
		a := newTierAnswer(status, t)
		if !c.who.Cluster() {
			a.Files, a.LogicalBytes = nil, nil // sums over all tenants
		}
		out.Tiers = append(out.Tiers, a)
	}
	c.sayConsistency(status.Unchecked)
	return c.answerValue(out)
}

// changeTier answers PUT /tiers/{id}/config: 200 with the tier as it is then. Fields
// that are not given stay; null sets the default.
func (c *call) changeTier() error {
	text, _ := c.ctx.UserValue("id").(string)
	if text != "1" && text != "2" && text != "3" {
		c.leaveBody()
		return model.Errorf(model.CodeNotFound, "change tier", "there is no tier %q; there are 1 (critical), 2 (important) and 3 (rebuildable)", clip(text))
	}
	tier := model.Tier(text[0] - '0')
	if _, err := strictQuery(c.query); err != nil {
		c.leaveBody()
		return err
	}
	body, err := c.readJSON()
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	status, err := c.s.gw.Cluster(ctx)
	if err != nil {
		return err
	}
	set, err := decodeTier(body, status.GetCluster(), tier)
	if err != nil {
		return err
	}
	reply, err := c.s.gw.ChangeTier(ctx, set)
	if err != nil {
		return err
	}
	if reply.Cluster != nil {
		status.Cluster = reply.Cluster
	}
	a := newTierAnswer(status, tier)
	a.Warnings = reply.Warnings
	if reply.Job != 0 {
		id := strconv.FormatUint(reply.Job, 10)
		a.JobID = &id
	}
	return c.answerValue(a)
}
