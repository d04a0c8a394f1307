package master

import (
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/compaction"
	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// singles are the tiers of which new volumes get one copy, for want of a licence.
func singles(cluster *messages.ClusterRow) map[model.Tier]bool {
	out := make(map[model.Tier]bool)
	for _, t := range model.Tiers {
		out[t] = !license.Of(cluster.GetLicense()).Replicates(t)
	}
	return out
}

// licensedFailover reports whether more nodes may vote, by the founder's word and by the
// licence. Those that vote already go on, whatever becomes of it.
func (c *Controller) licensedFailover() bool {
	return c.cluster.GetFailover() && license.Of(c.cluster.GetLicense()).Has(license.Failover)
}

// denyPromotion refuses to make master what could only be one by a feature that is not
// licensed. Nodes that vote may be, and so go on electing.
func (c *Controller) denyPromotion(row *messages.WorkerRow) error {
	if slices.Contains(c.conf.Voters, row.GetRaftId()) {
		return nil
	}
	return license.Of(c.cluster.GetLicense()).Deny(license.Failover).Err("promote")
}

// judgeLicense tells the log what time it is: now and then, and when the licence has
// ended, so that apply, which has no clock, knows.
func (c *Controller) judgeLicense(ctx *runtime.Context, now time.Time) {
	const key = "license"
	row := c.cluster.GetLicense()
	if !license.NoteDue(row, now) || c.underDecision(key, now) {
		return
	}
	c.deciding[key] = now
	c.commit(ctx, &messages.Command{Kind: &messages.Command_NoteLicenseTime{NoteLicenseTime: &messages.NoteLicenseTime{AtUnixMs: now.UnixMilli()}}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			delete(c.deciding, key)
			if logged(ctx, "note the time", o) && now.UnixMilli() >= row.ExpiresUnixMs {
				ctx.Log().Warn("the licence has expired; the cluster works at the level free", "license", row.Id, "level", row.Level)
			}
		})
}

// onInstallLicense verifies a licence, here and now, and logs what it says.
func (c *Controller) onInstallLicense(ctx *runtime.Context, m *messages.InstallLicense) {
	const op = "install licence"
	to, header := ctx.Sender(), m.Header
	answer := func(ctx *runtime.Context, kept bool, err error) {
		ctx.Send(to, &messages.InstallLicenseReply{Header: messages.ReplyHeader(header), Kept: kept, Error: messages.FromError(err)})
	}
	if c.cluster == nil {
		answer(ctx, false, model.Errorf(model.CodeUnavailable, op, "the master has just started; try again"))
		return
	}
	set, err := c.cfg.LicenseKeys.Set(m.Text, ctx.Now(), c.cluster.ClusterId, c.cluster.License)
	if err != nil {
		answer(ctx, false, err)
		return
	}
	set.IfNewer = m.IfNewer
	c.commit(ctx, &messages.Command{Kind: &messages.Command_SetLicense{SetLicense: set}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		if err := outcomeError(op, o); err != nil {
			answer(ctx, false, err)
			return
		}
		ctx.Log().Info("a licence was installed", "license", set.License.Id, "level", set.License.Level, "changed", o.Result.Created)
		answer(ctx, !o.Result.Created, nil)
	})
}

// denyRebalance refuses a rebalance that was asked for; repair, evacuation and drain are
// no part of that feature.
func (f *Foreman) denyRebalance() error {
	return license.Of(f.cluster().GetLicense()).Deny(license.AutoRebalance).Err("start a rebalance")
}

// movable leaves out the volumes that compaction would move into ones with fewer copies.
func (c *Compactor) movable(rows []*messages.VolumeRow) []*messages.VolumeRow {
	return compaction.Keeping(rows, singles(c.cluster))
}
