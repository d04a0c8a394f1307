package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"tiercel/cluster/license"
)

// licenseDoc is a licence as /license has it.
type licenseDoc struct {
	Level       string         `json:"level"`
	State       string         `json:"state"`
	ID          string         `json:"id"`
	Customer    string         `json:"customer"`
	IssuedAt    string         `json:"issued_at"`
	ExpiresAt   string         `json:"expires_at"`
	Development bool           `json:"development"`
	Key         string         `json:"key"`
	Cluster     string         `json:"cluster,omitempty"`
	MaxWorkers  *uint64        `json:"max_workers"`
	Workers     *uint64        `json:"workers,omitempty"` // that there are; a licence alone cannot know
	Features    map[string]any `json:"features,omitempty"`
	Warnings    []string       `json:"warnings"`
}

func (a *app) printLicense(r *remote, answer json.RawMessage, err error) error {
	if err != nil || r.output == "json" {
		return a.orJSON(answer, err)
	}
	var d licenseDoc
	if err := json.Unmarshal(answer, &d); err != nil {
		return unreadableAnswer(err)
	}
	_, err = io.WriteString(a.stdout, d.table())
	return err
}

// line is a licence within the status of a cluster.
func (d *licenseDoc) line() string {
	if d == nil {
		return "unknown"
	}
	line := d.Level
	if d.ID != "" {
		line += fmt.Sprintf(", %s %s until %s", d.State, d.ID, d.ExpiresAt)
	}
	if d.Development {
		line += " (development)"
	}
	return line
}

// expires names the moment at which it is over, and the last second before.
func (d *licenseDoc) expires() string {
	at, err := time.Parse(time.RFC3339, d.ExpiresAt)
	if err != nil {
		return d.ExpiresAt
	}
	return fmt.Sprintf("%s (valid through %s)", d.ExpiresAt, lastMoment(at))
}

func (d *licenseDoc) table() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("level", "%s", d.Level)
	row("state", "%s", d.State)
	if d.ID != "" {
		row("id", "%s", d.ID)
		row("customer", "%s", d.Customer)
		row("issued", "%s", d.IssuedAt)
		row("expires", "%s", d.expires())
		use := "production"
		if d.Development {
			use = "development"
		}
		row("use", "%s, signed with key %s", use, d.Key)
	}
	if d.Cluster != "" {
		row("cluster", "%s, the only one that may use it", d.Cluster)
	}
	most := "unlimited"
	if d.MaxWorkers != nil {
		most = fmt.Sprint(*d.MaxWorkers)
	}
	if d.Workers != nil {
		most = fmt.Sprintf("%d of %s", *d.Workers, most)
	}
	row("workers", "%s", most)
	for _, f := range license.Features() {
		if value, given := d.Features[string(f)]; given && f != license.DataWorkers {
			row("feature", "%s: %s", f.Title(), featureText(value))
		}
	}
	for _, w := range d.Warnings {
		row("warning", "%s", w)
	}
	return b.String()
}

func featureText(value any) string {
	switch v := value.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []any:
		if len(v) == 0 {
			return "no"
		}
		var tiers []string
		for _, t := range v {
			tiers = append(tiers, fmt.Sprint(t))
		}
		return "tiers " + strings.Join(tiers, ", ")
	}
	return fmt.Sprint(value)
}
