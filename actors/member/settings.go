package member

import (
	"time"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// settingsAgain is how often the worker is told the settings that it should have: it
// may have been restarted.
const settingsAgain = 10 * time.Second

// sentSettings is what the worker was told last.
type sentSettings struct {
	version uint64
	at      time.Time
}

// passSettings gives the worker the cluster's settings as a master's word has them.
func (m *Member) passSettings(ctx *runtime.Context, row *messages.ClusterRow) {
	now, version := ctx.Now(), row.GetSettings().GetVersion()
	if row == nil || version == m.settings.version && !m.settings.at.IsZero() && now.Sub(m.settings.at) < settingsAgain {
		return
	}
	m.settings = sentSettings{version: version, at: now}
	ctx.Send(ctx.Runtime().Local(m.cfg.WorkerPath), &messages.SettingsChanged{Settings: row.Settings})
}
