package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// master is what a person is shown of /cluster/master.
type master struct {
	ID         string `json:"worker_id"`
	Address    string `json:"address"`
	Epoch      string `json:"epoch"`
	Since      string `json:"since"`
	Promoted   bool   `json:"promoted"`
	Candidates []struct {
		ID      string  `json:"worker_id"`
		Rank    int     `json:"rank"`
		Score   float64 `json:"score"`
		Refusal string  `json:"refusal"`
	} `json:"candidates"`
}

func (a *app) masterCommand() *command {
	var r remote
	cmd := &command{
		Use:   "master",
		Short: "Show the master and who would follow it",
		Long: `Shows the node that leads the cluster, since when, and the candidates to follow it in the
order in which they would: by health, licence, disk and room.`,
		Example: "  tiercel master\n  tiercel master promote n-0123456789abcdef",
		Args:    wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.Master(c.Context()) })
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			var m master
			if err := json.Unmarshal(answer, &m); err != nil {
				return unreadableAnswer(err)
			}
			fmt.Fprintf(a.stdout, "master     %s at %s, epoch %s since %s\n", m.ID, m.Address, m.Epoch, orUnknown(m.Since))
			if m.Promoted {
				fmt.Fprintln(a.stdout, "promoted   by an operator: it stays master, though others are better, until it fails or another is promoted")
			}
			t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "RANK\tCANDIDATE\tSCORE\tCANNOT, BECAUSE")
			for _, k := range m.Candidates {
				fmt.Fprintf(t, "%d\t%s\t%.2f\t%s\n", k.Rank, k.ID, k.Score, strings.TrimSpace(k.Refusal))
			}
			return t.Flush()
		},
	}
	r.addTo(cmd.Flags())
	cmd.AddCommand(a.promoteCommand())
	return cmd
}

func (a *app) promoteCommand() *command {
	var r remote
	cmd := &command{
		Use:   "promote WORKER",
		Short: "Hand the lead to a worker, or say why not",
		Long: `Hands the lead to a worker that votes and has everything; a refusal says what is in the
way. Writes under way wait for the new master and go on. 'tiercel master' lists the
candidates.

It stays master, though others are better by disk or room, until it is no longer healthy,
has less than 5 % of its disk free, or another one is promoted. To promote the candidate
of rank 0 lets the best one lead again.`,
		Example: "  tiercel master promote n-0123456789abcdef",
		Args:    wantArgs(1, 1, "one WORKER"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			answer, err := conn.Promote(c.Context(), args[0])
			if err != nil {
				return err
			}
			var p struct {
				Epoch   string
				Already bool
			}
			if err := json.Unmarshal(answer, &p); err != nil {
				return unreadableAnswer(err)
			}
			said := args[0] + " was the master before, and stays it"
			if !p.Already {
				m, err := awaitMaster(c.Context(), conn, args[0])
				if err != nil {
					return err
				}
				said = fmt.Sprintf("%s leads, epoch %s since %s", m.ID, m.Epoch, orUnknown(m.Since))
			}
			if r.output == "json" {
				return a.printJSON(answer)
			}
			_, err = fmt.Fprintln(a.stdout, said)
			return err
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// awaitMaster waits until a worker leads that the lead was handed to. While it changes
// hands there is no master who could answer.
func awaitMaster(ctx context.Context, conn *client.Client, id string) (m master, err error) {
	const patience, pause = 15 * time.Second, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		answer, err := conn.Master(ctx)
		if err == nil {
			if err := json.Unmarshal(answer, &m); err != nil {
				return m, unreadableAnswer(err)
			}
			if m.ID == id {
				return m, nil
			}
		}
		select {
		case <-ctx.Done():
			return m, model.Errorf(model.CodeUnavailable, "promote "+id, "the lead was offered to it, and it has not taken it within %s; 'tiercel master' shows who leads", patience)
		case <-time.After(pause):
		}
	}
}
