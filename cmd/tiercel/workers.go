package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
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
	var (
		r   remote
		all bool
	)
	cmd := &command{
		Use:   "workers",
		Short: "List the data workers of the cluster",
		Long: `Lists every worker of the cluster with its state, its role in the log (master, voter,
learner or none), its disk, and how far its copies are behind. Names of workers, which
other verbs take, are in the first column. Those that were removed are left out without
--all; --output json has them, too, with the state left.`,
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
			shown := list.Workers
			if !all {
				shown = slices.DeleteFunc(slices.Clone(shown), func(w worker) bool { return w.State == "left" })
			}
			if err := printWorkers(a.stdout, shown); err != nil {
				return err
			}
			if left := len(list.Workers) - len(shown); left > 0 {
				fmt.Fprintf(a.stdout, "%s that left the cluster for good: --all shows them, too\n", counted(left, "worker"))
			}
			return nil
		},
	}
	r.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "also those that were removed")
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
		if w.Total == nil && w.State == "healthy" {
			state += ", not heard of"
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
anything in use; --force removes it all the same, and what only it held is lost: the
answer says how much.
'tiercel drain' empties it before. What the cluster cannot give without it is printed.`,
		Example: "  tiercel workers remove n-0123456789abcdef",
		Args:    wantArgs(1, 1, "one WORKER"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			already, before := hasLeft(c.Context(), conn, args[0]), warningsNow(c.Context(), conn)
			lost := ""
			err = conn.RemoveWorker(c.Context(), args[0], false)
			if force && model.CodeOf(err) == model.CodeConflict { // what keeps it from going is what is lost
				lost, err = client.Message(err), conn.RemoveWorker(c.Context(), args[0], true)
			}
			if err != nil {
				return err
			}
			brought := warningsNow(c.Context(), conn)
			brought = slices.DeleteFunc(brought, func(w string) bool { return slices.Contains(before, w) })
			if lost != "" {
				brought = append([]string{"forced although " + lost}, brought...)
			}
			if r.output == "json" {
				return a.printJSON(map[string]any{"worker_id": args[0], "removed": true, "already": already, "warnings": append([]string{}, brought...)})
			}
			said := " is out of the cluster for good"
			if already {
				said = " was out of the cluster before"
			}
			fmt.Fprintln(a.stdout, args[0]+said)
			printWarnings(a.stdout, brought)
			return nil
		},
	}
	r.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "also when it is the only holder of something, which is lost then")
	return cmd
}

// hasLeft reports whether a worker has left the cluster; false when that cannot be known.
func hasLeft(ctx context.Context, conn *client.Client, id string) bool {
	answer, err := conn.Workers(ctx, id)
	var w worker
	return err == nil && json.Unmarshal(answer, &w) == nil && w.State == "left"
}

// warningsNow are those of the cluster's status; none when it cannot be had.
func warningsNow(ctx context.Context, conn *client.Client) []string {
	answer, err := conn.Status(ctx)
	var s clusterStatus
	if err != nil || json.Unmarshal(answer, &s) != nil {
		return nil
	}
	return s.Warnings
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
