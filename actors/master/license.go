package master

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

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

// installing is a licence that waits for the next look at the catalog, which knows the
// present one.
type installing struct {
	to *actor.PID
	m  *messages.InstallLicense
}

// onInstallLicense keeps a licence for the next look, which it asks for.
func (c *Controller) onInstallLicense(ctx *runtime.Context, m *messages.InstallLicense) {
	w := installing{to: ctx.Sender(), m: m}
	if len(c.installs) >= maxInstalls {
		w.answer(ctx, false, model.Errorf(model.CodeOverloaded, "install licence", "%d licences are being installed already; try again", maxInstalls))
		return
	}
	c.installs = append(c.installs, w)
	c.look(ctx, len(c.full) > 0)
}

const maxInstalls = 100

// install verifies what waits, here and now, and logs what it says.
func (c *Controller) install(ctx *runtime.Context) {
	waiting := c.installs
	c.installs = nil
	for _, w := range waiting {
		set, err := c.cfg.LicenseKeys.Set(w.m.Text, ctx.Now(), c.cluster.GetClusterId(), c.cluster.GetLicense())
		if err != nil {
			w.answer(ctx, false, err)
			continue
		}
		if w.m.IfNewer && !license.Newer(c.cluster.GetLicense(), set.License) {
			w.answer(ctx, true, nil) // as apply would say; every start of a node asks this
			continue
		}
		set.IfNewer = w.m.IfNewer
		c.commit(ctx, &messages.Command{Kind: &messages.Command_SetLicense{SetLicense: set}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
			if err := outcomeError("install licence", o); err != nil {
				w.answer(ctx, false, err)
				return
			}
			ctx.Log().Info("a licence was proposed", "license", set.License.Id, "level", set.License.Level, "installed", o.Result.Created)
			w.answer(ctx, !o.Result.Created, nil)
		})
	}
}

func (w installing) answer(ctx *runtime.Context, kept bool, err error) {
	ctx.Send(w.to, &messages.InstallLicenseReply{Header: messages.ReplyHeader(w.m.Header), Kept: kept, Error: messages.FromError(err)})
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
