package httpapi

import (
	"math"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// maxLicenseBytes is more than a licence has; what is wrong with one, its verifier says.
const maxLicenseBytes = 16 << 10

// licenseAnswer is the licence as GET /license and the status show it.
type licenseAnswer struct {
	Level         string         `json:"level"` // in force
	State         string         `json:"state"` // none, active, expired
	ID            *string        `json:"id"`
	Customer      *string        `json:"customer"`
	LicensedLevel *string        `json:"licensed_level"` // of the text, whatever became of it
	IssuedAt      *string        `json:"issued_at"`
	ExpiresAt     *string        `json:"expires_at"`
	InstalledAt   *string        `json:"installed_at"`
	Development   bool           `json:"development"`
	Key           *string        `json:"key"`
	Cluster       *string        `json:"cluster"`     // the only one it is for; null: any
	MaxWorkers    *uint64        `json:"max_workers"` // null: unlimited
	Workers       uint64         `json:"workers"`
	Features      map[string]any `json:"features,omitempty"` // yes and no; tiers, and a number of workers
	Warnings      []string       `json:"warnings"`
}

func newLicenseAnswer(info *messages.LicenseInfo) *licenseAnswer {
	if info == nil {
		return nil
	}
	a := &licenseAnswer{Level: info.Level, State: info.State, Workers: info.Workers, Warnings: append([]string{}, info.Warnings...)}
	if info.MaxWorkers > 0 {
		a.MaxWorkers = &info.MaxWorkers
	}
	if l := info.License; l != nil {
		a.ID, a.Customer, a.LicensedLevel, a.Key, a.Development = &l.Id, &l.Customer, &l.Level, &l.Key, l.Development
		if l.Cluster != "" {
			a.Cluster = &l.Cluster
		}
		a.IssuedAt, a.ExpiresAt, a.InstalledAt = timeOf(l.IssuedUnixMs), timeOf(l.ExpiresUnixMs), timeOf(l.InstalledUnixMs)
	}
	return a
}

// withFeatures adds what the status leaves to GET /license.
func (a *licenseAnswer) withFeatures(info *messages.LicenseInfo) *licenseAnswer {
	a.Features = make(map[string]any, len(info.Features))
	for _, f := range info.Features {
		switch f.Name {
		case "data_workers":
			a.Features[f.Name] = a.MaxWorkers
		case "tiered_replication":
			a.Features[f.Name] = append([]uint32{}, f.Tiers...)
		default:
			a.Features[f.Name] = f.Granted
		}
	}
	return a
}

func timeOf(unixMs int64) *string {
	if unixMs == 0 {
		return nil
	}
	text := time.UnixMilli(unixMs).UTC().Format(time.RFC3339)
	return &text
}

// showLicense answers GET /license.
func (c *call) showLicense() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	info, err := c.s.gw.License(ctx)
	if err != nil {
		return err
	}
	return c.answerValue(newLicenseAnswer(info).withFeatures(info))
}

// installLicense answers PUT /license: the signed text, as it is in its file; 200 with
// what is in force then.
func (c *call) installLicense() error {
	if _, err := strictQuery(c.query); err != nil {
		c.leaveBody()
		return err
	}
	text, err := c.readJSON() // a small text; it need not be JSON
	if err != nil {
		return err
	}
	if len(text) > maxLicenseBytes {
		return model.Errorf(model.CodeTooLarge, "install licence", "the body has %d bytes; a licence is a text of at most 4096", min(len(text), math.MaxInt32)).
			With(model.DetailReason, "license_too_long")
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	info, _, err := c.s.gw.InstallLicense(ctx, string(text), false)
	if err != nil {
		return err
	}
	return c.answerValue(newLicenseAnswer(info).withFeatures(info))
}

// licensedLess reports whether a file has fewer copies than its tier wants because the
// licence had no more when its volumes were made.
func (r *receipt) licensedLess() bool {
	for _, v := range r.volumes {
		if v.LicensedCopies > 0 && v.LicensedCopies < r.copiesWanted() {
			return true
		}
	}
	return false
}
