package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
)

// replication is what a person is shown of /cluster/replication.
type replication struct {
	Pending int64 `json:"pending_operations"`
	Tiers   []struct {
		Tier    int    `json:"tier"`
		Name    string `json:"name"`
		Volumes struct {
			Open, Sealed, Retiring, Degraded, Stranded, Lost int64
		} `json:"volumes"`
		Debt      int64   `json:"debt_bytes"`
		Oldest    float64 `json:"oldest_debt_seconds"`
		Followers []struct {
			ID       string `json:"worker_id"`
			LagBytes int64  `json:"lag_bytes"`
			LagMs    int64  `json:"lag_ms"`
		} `json:"followers"`
	} `json:"tiers"`
}

func (a *app) replicationCommand() *command {
	var r remote
	cmd := &command{
		Use:   "replication",
		Short: "Show how far copies are from what their tiers want",
		Long: `Shows, by tier, the volumes by state, the bytes of copies that are missing (debt), for
how long, and how far followers are behind. An open volume takes writes, a sealed one no
more, a retiring one is being emptied by compaction; a degraded one has fewer intact
copies than its tier asks for, and a job makes them. Of a stranded volume no intact copy can be
reached, and one may come back; of a lost one a part is gone for good, or every copy is
damaged. 'tiercel replication files' lists the files concerned.`,
		Example: "  tiercel replication\n  tiercel replication --output json | jq '.tiers[].debt_bytes'",
		Args:    wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.Replication(c.Context()) })
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			var s replication
			if err := json.Unmarshal(answer, &s); err != nil {
				return unreadableAnswer(err)
			}
			return a.printReplication(&s)
		},
	}
	r.addTo(cmd.Flags())
	cmd.AddCommand(a.affectedCommand())
	return cmd
}

func (a *app) printReplication(s *replication) error {
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIER\tNAME\tOPEN\tSEALED\tRETIRING\tDEGRADED\tSTRANDED\tLOST\tDEBT\tOLDEST")
	for _, i := range s.Tiers {
		oldest, v := "-", i.Volumes
		if i.Debt > 0 {
			oldest = seconds(i.Oldest)
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", i.Tier, i.Name, v.Open, v.Sealed, v.Retiring, v.Degraded, v.Stranded, v.Lost, config.FormatBytes(i.Debt), oldest)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, i := range s.Tiers {
		for _, f := range i.Followers {
			if f.LagBytes > 0 {
				fmt.Fprintf(a.stdout, "tier %d: %s is %s behind, by %d ms\n", i.Tier, f.ID, config.FormatBytes(f.LagBytes), f.LagMs)
			}
		}
	}
	_, err := fmt.Fprintf(a.stdout, "%s under way or wanted\n", counted(int(s.Pending), "operation"))
	return err
}
