package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/internal/version"
)

// clusterStatus is what a person is shown of /cluster/status. Pointers: a part
// of the cluster that is down leaves its fields unknown.
type clusterStatus struct {
	ClusterID string `json:"cluster_id"`
	Epoch     any    `json:"epoch"`
	State     string `json:"state"`
	Master    *struct {
		WorkerID string `json:"worker_id"`
		Address  string `json:"address"`
		Since    string `json:"since"`
	} `json:"master"`
	Workers  map[string]*int64 `json:"workers"`
	Capacity *struct {
		Total *int64 `json:"total_bytes"`
		Used  *int64 `json:"used_bytes"`
		Free  *int64 `json:"free_bytes"`
	} `json:"capacity"`
	Files *struct {
		Count   *int64 `json:"count"`
		Logical *int64 `json:"logical_bytes"`
		Raw     *int64 `json:"raw_bytes"`
	} `json:"files"`
	Replication *struct {
		Debt    map[string]int64 `json:"debt_bytes"`
		Oldest  *float64         `json:"oldest_debt_seconds"`
		Pending int64            `json:"pending_operations"`
	} `json:"replication"`
	License *licenseDoc `json:"license"`
	Archive *struct {
		Checkpoint uint64  `json:"checkpoint_index"`
		Journal    uint64  `json:"journal_index"`
		Lag        float64 `json:"lag_seconds"`
	} `json:"archive"`
	Warnings []string `json:"warnings"`
}

func (a *app) statusCommand() *command {
	var r remote
	cmd := &command{
		Use:   "status",
		Short: "Show the state of the cluster",
		Long: `Shows how the cluster is: its state (healthy, degraded, read_only or no_master), the master,
the workers, room and files, and what copies are missing. It answers with what is known,
and says what is not, while parts are down. Warnings say what to do.`,
		Example: "  tiercel status\n  tiercel status --output json | jq .capacity",
		Args:    wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			answer, err := conn.Status(c.Context())
			if err != nil {
				return err
			}
			if r.output == "json" {
				return a.printJSON(answer)
			}
			var s clusterStatus
			if err := json.Unmarshal(answer, &s); err != nil {
				return model.Errorf(model.CodeInternal, "status", "the answer cannot be read; is this a Tiercel server? %w", err)
			}
			_, err = fmt.Fprint(a.stdout, s.table())
			return err
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// table renders the status for a person, "unknown" for what was not answered.
func (s clusterStatus) table() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("cluster", "%s", orUnknown(s.ClusterID))
	row("state", "%s", orUnknown(s.State))
	if m := s.Master; m != nil && m.WorkerID != "" {
		since := ""
		if m.Since != "" {
			since = " since " + m.Since
		}
		row("master", "%s at %s, epoch %s%s", m.WorkerID, orUnknown(m.Address), orUnknown(epochText(s.Epoch)), since)
	} else {
		row("master", "none")
	}
	row("workers", "%s", s.workers())
	if c := s.Capacity; c != nil {
		row("capacity", "%s free of %s, %s used", size(c.Free), size(c.Total), size(c.Used))
	} else {
		row("capacity", "unknown")
	}
	if f := s.Files; f != nil && f.Count != nil {
		row("files", "%d, %s of content, %s on disk", *f.Count, size(f.Logical), size(f.Raw))
	} else {
		row("files", "unknown")
	}
	row("debt", "%s", s.debt())
	if r := s.Archive; r != nil {
		row("archive", "checkpoint at %d, journal to %d, %s behind at most", r.Checkpoint, r.Journal, seconds(r.Lag))
	}
	row("license", "%s", s.License.line())
	for _, w := range s.Warnings {
		row("warning", "%s", w)
	}
	return b.String()
}

func (s clusterStatus) workers() string {
	total := s.Workers["total"]
	if total == nil {
		return "unknown"
	}
	var states []string
	for _, state := range []string{"healthy", "degraded", "unreachable", "decommissioned", "draining"} {
		if n := s.Workers[state]; n != nil && *n > 0 {
			states = append(states, fmt.Sprintf("%d %s", *n, state))
		}
	}
	if len(states) == 0 {
		return fmt.Sprint(*total)
	}
	return fmt.Sprintf("%d: %s", *total, strings.Join(states, ", "))
}

// debt is what copies are missing: "2.0 MiB of tier 1, for 7s at most".
func (s clusterStatus) debt() string {
	d := s.Replication
	if d == nil {
		return "unknown"
	}
	var parts []string
	for _, tier := range []string{"1", "2", "3"} {
		if n := d.Debt[tier]; n > 0 {
			parts = append(parts, config.FormatBytes(n)+" of tier "+tier)
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	out := strings.Join(parts, ", ")
	if d.Oldest != nil {
		out += ", for " + seconds(*d.Oldest) + " at most"
	}
	return out
}

func epochText(epoch any) string {
	if epoch == nil {
		return ""
	}
	return fmt.Sprint(epoch)
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}

func size(n *int64) string {
	if n == nil {
		return "unknown"
	}
	return config.FormatBytes(*n)
}

func (a *app) versionCommand() *command {
	var output string
	cmd := &command{
		Use:   "version",
		Short: "Show which build this is",
		Long: `Shows the version of this program. It asks no server; 'tiercel workers --output json' has
the versions of the nodes.`,
		Example: "  tiercel version\n  tiercel version --output json",
		Args:    wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(version.Get())
			}
			_, err := fmt.Fprintln(a.stdout, "tiercel "+version.String())
			return err
		},
	}
	addOutput(cmd.Flags(), &output)
	return cmd
}
