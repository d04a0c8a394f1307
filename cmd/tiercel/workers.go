package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
)

// worker is what a person is shown of one of /cluster/workers.
type worker struct {
	ID          string   `json:"worker_id"`
	Address     string   `json:"address"`
	State       string   `json:"state"`
	Missed      int      `json:"missed_heartbeats"`
	DiskType    string   `json:"disk_type"`
	DiskError   string   `json:"disk_error"`
	Rack        string   `json:"rack"`
	Host        string   `json:"host"`
	Total       *int64   `json:"total_bytes"`
	Free        *int64   `json:"free_bytes"`
	IOLoad      *float64 `json:"io_load"`
	LatencyMs   *float64 `json:"latency_ms"`
	LagBytes    *int64   `json:"lag_bytes"`
	LagMs       int64    `json:"lag_ms"`
	Volumes     int64    `json:"volumes"`
	Role        string   `json:"role"`
	Draining    bool     `json:"draining"`
	Transitions []struct {
		From, To, Cause, At string
	} `json:"transitions"`
	VolumeList []struct {
		ID       uint64 `json:"volume_id"`
		Tier     int    `json:"tier"`
		State    string `json:"state"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
		Total    int64  `json:"total_bytes"`
	} `json:"volume_list"`
}

func (a *app) workersCommand() *command {
	var r remote
	cmd := &command{
		Use:   "workers",
		Short: "List the data workers of the cluster",
		Long: `Lists every worker of the cluster with its state, its role in the log (master, voter,
learner or none), its disk, and how far its copies are behind. Names of workers, which
other verbs take, are in the first column.`,
		Example: "  tiercel workers\n  tiercel workers show n-0123456789abcdef\n  tiercel workers --output json | jq '.workers[].state'",
		Args:    wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.Workers(c.Context(), "") })
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			var list struct {
				Workers   []worker
				Unchecked bool
			}
			if err := json.Unmarshal(answer, &list); err != nil {
				return unreadableAnswer(err)
			}
			if list.Unchecked {
				fmt.Fprintln(a.stdout, "There is no master: this is what the node that answers last knew. 'tiercel status' may say why.")
			}
			return printWorkers(a.stdout, list.Workers)
		},
	}
	r.addTo(cmd.Flags())
	cmd.AddCommand(a.showWorkerCommand(), a.removeWorkerCommand(), a.releaseBrakeCommand())
	return cmd
}

func unreadableAnswer(err error) error {
	return model.Errorf(model.CodeInternal, "read the answer", "it cannot be read; is this a Tiercel server? %w", err)
}

// orJSON prints an answer as it came.
func (a *app) orJSON(answer json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	return a.printJSON(answer)
}

func printWorkers(out io.Writer, workers []worker) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WORKER\tSTATE\tROLE\tDISK\tFREE\tTOTAL\tVOLUMES\tLOAD\tLAG\tHOST\tADDRESS")
	for _, w := range workers {
		state := w.State
		if w.Missed > 0 {
			state = fmt.Sprintf("%s (%d missed)", w.State, w.Missed)
		}
		if w.Draining {
			state += ", draining"
		}
		if w.DiskError != "" {
			state += ", disk failing"
		}
		load := "unknown"
		if w.IOLoad != nil {
			load = fmt.Sprintf("%.0f %%", 100**w.IOLoad)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n",
			w.ID, state, w.Role, w.DiskType, size(w.Free), size(w.Total), w.Volumes, load, w.lag(), w.Host, w.Address)
	}
	return t.Flush()
}

// lag is how far a worker's follower copies are behind.
func (w *worker) lag() string {
	switch {
	case w.LagBytes == nil:
		return "unknown"
	case *w.LagBytes == 0:
		return "none"
	}
	return fmt.Sprintf("%s, %.1f s", size(w.LagBytes), float64(w.LagMs)/1000)
}

func (a *app) showWorkerCommand() *command {
	var r remote
	cmd := &command{
		Use:   "show WORKER",
		Short: "Show one worker with its volumes and recent changes of state",
		Long: `Shows one worker, the volumes of which it has a copy, and when and why its state changed.
'tiercel workers' lists the names.`,
		Example: "  tiercel workers show n-0123456789abcdef",
		Args:    wantArgs(1, 1, "one WORKER"),
		RunE: func(c *command, args []string) error {
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.Workers(c.Context(), args[0]) })
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			var w worker
			if err := json.Unmarshal(answer, &w); err != nil {
				return unreadableAnswer(err)
			}
			return w.print(a.stdout)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

func (w *worker) print(out io.Writer) error {
	if err := printWorkers(out, []worker{*w}); err != nil {
		return err
	}
	if w.DiskError != "" {
		fmt.Fprintln(out, "\nThe disk takes nothing new:", w.DiskError)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nVOLUME\tTIER\tSTATE\tCOPY\tSIZE")
	for _, v := range w.VolumeList {
		kind := "follower"
		if v.Primary {
			kind = "primary"
		}
		if !v.Verified {
			kind += ", not whole yet"
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\n", v.ID, v.Tier, v.State, kind, config.FormatBytes(v.Total))
	}
	fmt.Fprintln(t, "\nAT\tFROM\tTO\tCAUSE")
	for _, c := range w.Transitions {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.At, c.From, c.To, c.Cause)
	}
	return t.Flush()
}

func (a *app) removeWorkerCommand() *command {
	var r remote
	var force bool
	cmd := &command{
		Use:   "remove WORKER",
		Short: "Take a worker out of the cluster for good",
		Long: `Takes a worker out of the cluster for good: its id is refused from then on, and it
ends when it hears of it. Refused while it holds the only verified copy of
anything in use; --force removes it all the same, and what only it held is lost.`,
		Example: "  tiercel workers remove n-0123456789abcdef",
		Args:    wantArgs(1, 1, "one WORKER"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			if err := conn.RemoveWorker(c.Context(), args[0], force); err != nil {
				return err
			}
			if r.output == "json" {
				return a.printJSON(map[string]any{"worker_id": args[0], "removed": true})
			}
			_, err = fmt.Fprintf(a.stdout, "%s is out of the cluster for good\n", args[0])
			return err
		},
	}
	r.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "also when it is the only holder of something, which is lost then")
	return cmd
}

// master is what a person is shown of /cluster/master.
type master struct {
	ID         string `json:"worker_id"`
	Address    string `json:"address"`
	Epoch      string `json:"epoch"`
	Since      string `json:"since"`
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
candidates. One that is better by health, licence or disk takes the lead back when it has
been better for ten heartbeats, so this is for a moment: to look after the old master,
drain it or stop it then.`,
		Example: "  tiercel master promote n-0123456789abcdef",
		Args:    wantArgs(1, 1, "one WORKER"),
		RunE: func(c *command, args []string) error {
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.Promote(c.Context(), args[0]) })
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			_, err = fmt.Fprintf(a.stdout, "%s takes the lead\n", args[0])
			return err
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// fetch asks a server for one document.
func (a *app) fetch(c *command, r *remote, ask func(*client.Client) (json.RawMessage, error)) (json.RawMessage, error) {
	conn, err := a.connect(c, r)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return ask(conn)
}
