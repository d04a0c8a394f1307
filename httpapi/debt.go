package httpapi

import (
	"strconv"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// statusDebt is what copies are missing: bytes in use, by tier, times the copies
// that a volume lacks. How old the oldest debt is, only the master knows.
type statusDebt struct {
	DebtBytes         map[string]uint64 `json:"debt_bytes"`
	OldestDebtSeconds *float64          `json:"oldest_debt_seconds"`
	PendingOperations uint64            `json:"pending_operations"` // copies under way or wanted
}

// debtPatience is how long the status waits for the master's word on replication. The
// catalog's own rows say the rest.
const debtPatience = time.Second

// learnDebt replaces what the rows say by what the master says, if it answers soon.
func (a *statusAnswer) learnDebt(c *call, r *messages.ClusterStatusReply) {
	if a.Replication == nil || r.Unchecked || a.State == "no_master" {
		return
	}
	ctx, cancel := c.context(debtPatience)
	defer cancel()
	told, err := c.s.gw.Replication(ctx)
	if err != nil {
		return
	}
	d := &statusDebt{DebtBytes: noDebt(), OldestDebtSeconds: new(float64), PendingOperations: told.PendingOperations}
	for _, t := range told.Tiers {
		d.DebtBytes[strconv.Itoa(int(t.Tier))] = t.DebtBytes
		*d.OldestDebtSeconds = max(*d.OldestDebtSeconds, t.OldestDebtSeconds)
	}
	a.Replication = d
}

func noDebt() map[string]uint64 { return map[string]uint64{"1": 0, "2": 0, "3": 0} }

// debtOfRows sums what copies are missing: those that a tier wants and a volume does
// not have, or that are not known to be whole.
func debtOfRows(r *messages.ClusterStatusReply) *statusDebt {
	d := &statusDebt{DebtBytes: noDebt()}
	for _, v := range r.Volumes {
		if v.State == messages.VolumeState_RETIRING {
			continue
		}
		whole := uint32(0)
		for _, m := range v.Members {
			if m.GetVerified() {
				whole++
			} else {
				d.PendingOperations++
			}
		}
		if wanted := copiesOf(r.Cluster, model.Tier(v.Tier)); whole < wanted && v.LiveBytes > 0 {
			d.DebtBytes[strconv.Itoa(int(v.Tier))] += uint64(v.LiveBytes) * uint64(wanted-whole)
		}
	}
	return d
}

// copiesOf is how many copies a tier wants: what its row says, else what the
// replication factor gives.
func copiesOf(cluster *messages.ClusterRow, tier model.Tier) uint32 {
	if row := tierRow(cluster, tier); row.GetCopies() > 0 {
		return row.Copies
	}
	return copiesWanted(tier, cluster.GetReplicationFactor())
}

// tierRow is the row of a tier, nil when there is none.
func tierRow(cluster *messages.ClusterRow, tier model.Tier) *messages.TierRow {
	for _, row := range cluster.GetTiers() {
		if row.GetTier() == uint32(tier) {
			return row
		}
	}
	return nil
}

type replicationAnswer struct {
	PendingOperations uint64            `json:"pending_operations"`
	Tiers             []tierReplication `json:"tiers"`
}

type tierReplication struct {
	Tier    uint32 `json:"tier"`
	Name    string `json:"name"`
	Volumes struct {
		Open     uint64 `json:"open"`
		Sealed   uint64 `json:"sealed"`
		Retiring uint64 `json:"retiring"`
		Degraded uint64 `json:"degraded"` // with fewer good copies than wanted
		Stranded uint64 `json:"stranded"` // whose good copies are all on workers that do not answer
		Lost     uint64 `json:"lost"`
	} `json:"volumes"`
	DebtBytes         uint64           `json:"debt_bytes"`
	OldestDebtSeconds float64          `json:"oldest_debt_seconds"`
	Followers         []followerAnswer `json:"followers"`
}

type followerAnswer struct {
	WorkerID string `json:"worker_id"`
	LagBytes uint64 `json:"lag_bytes"`
	LagMs    int64  `json:"lag_ms"`
}

// showReplication answers GET /cluster/replication.
func (c *call) showReplication() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.Replication(ctx)
	if err != nil {
		return err
	}
	out := replicationAnswer{PendingOperations: reply.PendingOperations, Tiers: []tierReplication{}}
	for _, t := range reply.Tiers {
		a := tierReplication{Tier: t.Tier, Name: model.Tier(t.Tier).Name(), DebtBytes: t.DebtBytes, OldestDebtSeconds: t.OldestDebtSeconds, Followers: []followerAnswer{}}
		a.Volumes.Open, a.Volumes.Sealed, a.Volumes.Retiring = t.Open, t.Sealed, t.Retiring
		a.Volumes.Degraded, a.Volumes.Stranded, a.Volumes.Lost = t.Degraded, t.Stranded, t.Lost
		for _, f := range t.Followers {
			a.Followers = append(a.Followers, followerAnswer{WorkerID: f.Node, LagBytes: f.LagBytes, LagMs: f.LagMs})
		}
		out.Tiers = append(out.Tiers, a)
	}
	return c.answerValue(out)
}
