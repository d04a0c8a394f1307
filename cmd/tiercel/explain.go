package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
)

// terms are those of a score, or their weights.
type terms struct {
	Free    float64 `json:"free_capacity"`
	Disk    float64 `json:"disk_type"`
	Load    float64 `json:"io_load"`
	Latency float64 `json:"latency"`
}

type placed struct {
	ID      uint64 `json:"volume_id"`
	State   string `json:"state"`
	Members []struct {
		ID       string `json:"worker_id"`
		Verified bool   `json:"verified"`
		Cause    string `json:"cause"`
	} `json:"members"`
	Decision string `json:"decision"`
}

// judged is a worker and how it stands.
type judged struct {
	ID      string  `json:"worker_id"`
	Terms   terms   `json:"terms"`
	Score   float64 `json:"score"`
	Open    int     `json:"open_volumes"`
	Refusal string  `json:"refusal"`
	Detail  string  `json:"detail"`
	Place   int     `json:"place"`
}

// explanation is what a person is shown of /cluster/placement/explain.
type explanation struct {
	Path    string   `json:"path"`
	Tier    int      `json:"tier"`
	Reason  string   `json:"tier_reason"`
	Copies  int      `json:"copies"`
	Least   int      `json:"min_copies"`
	Weights terms    `json:"weights"`
	Workers []judged `json:"workers"`
	Choice  []string `json:"choice"`
	Open    []placed `json:"open_volumes"`
	Current *struct {
		Version uint64   `json:"version"`
		Size    int64    `json:"size_bytes"`
		Tier    int      `json:"tier"`
		Reason  string   `json:"tier_reason"`
		Members []string `json:"members"`
		Volumes []placed `json:"volumes"`
	} `json:"current"`
}

func (a *app) explainCommand() *command {
	var (
		r                remote
		size, tier, from string
	)
	cmd := &command{
		Use:   "explain PATH",
		Short: "Say where a file would go and why, and where it is and why",
		Long: `Shows the tier of PATH and the reason, how each worker scores for it or which filter
keeps it out, and what would be chosen. If there is a file at PATH, it says where its
content lies and why it came there.

A score is the sum of the four terms times their weights, less 0.05 for each volume that
the worker has OPEN.`,
		Example: `  tiercel explain /models/a.bin
  tiercel explain /tmp/scratch --size 2GiB --tier 2`,
		Args: wantArgs(1, 1, "one PATH"),
		RunE: func(c *command, args []string) error {
			if err := model.CheckPath(args[0]); err != nil {
				return &usageError{err: fmt.Errorf("%s", client.Message(err))}
			}
			bytes := int64(0)
			if size != "" {
				n, err := config.ParseBytes(size)
				if err != nil {
					return &usageError{err: fmt.Errorf("--size: %w", err)}
				}
				bytes = n
			}
			if _, err := parseTier(tier); err != nil {
				return err
			}
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) {
				return conn.Explain(c.Context(), args[0], bytes, tier, from)
			})
			if from != "" && err != nil && strings.Contains(client.Message(err), fmt.Sprintf("worker %q", from)) {
				return &usageError{err: fmt.Errorf("--from %q is no worker of this cluster; 'tiercel workers' lists them", from)}
			}
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			var e explanation
			if err := json.Unmarshal(answer, &e); err != nil {
				return unreadableAnswer(err)
			}
			return e.print(a.stdout)
		},
	}
	r.addTo(cmd.Flags())
	aboutFiles(cmd.Flags())
	cmd.Flags().StringVar(&size, "size", "", "`SIZE` that must fit, such as 2GiB")
	cmd.Flags().StringVar(&tier, "tier", "", "as if `TIER` 1, 2 or 3 were asked for")
	cmd.Flags().StringVar(&from, "from", "", "as seen from this `WORKER`")
	return cmd
}

func (e *explanation) print(out io.Writer) error {
	fmt.Fprintf(out, "tier    %d: %s\n", e.Tier, e.Reason)
	fmt.Fprintf(out, "copies  %d wanted, %d at least\n\n", e.Copies, e.Least)
	if err := e.printWorkers(out); err != nil {
		return err
	}
	e.printOpen(out)
	if e.Current == nil {
		_, err := fmt.Fprintln(out, "\nthere is no file at "+e.Path)
		return err
	}
	fmt.Fprintf(out, "\nthe file at %s, version %d, %s, is in tier %d: %s\n", e.Path, e.Current.Version, config.FormatBytes(e.Current.Size), e.Current.Tier, e.Current.Reason)
	if len(e.Current.Volumes) == 0 {
		_, err := fmt.Fprintln(out, "it has no content that a volume would hold")
		return err
	}
	fmt.Fprintln(out, "it lies on "+strings.Join(e.Current.Members, ", "))
	printPlaced(out, e.Current.Volumes)
	return nil
}

// printWorkers shows how they stand. There are none in the answer to the token of one
// tenant: how full and how busy they are sums up all of them.
func (e *explanation) printWorkers(out io.Writer) error {
	if len(e.Workers) == 0 {
		if len(e.Choice) > 0 {
			fmt.Fprintf(out, "a new volume would go to %s\n", strings.Join(e.Choice, ", "))
		}
		_, err := fmt.Fprintln(out, "the scores of the workers and the open volumes are not shown: how full and how busy they are\n"+
			"is the sum over all tenants, and the token given (--token, TIERCEL_TOKEN) is bound to one")
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	w := e.Weights
	fmt.Fprintf(t, "WORKER\tFREE ×%.2f\tDISK ×%.2f\tLOAD ×%.2f\tLATENCY ×%.2f\tOPEN\tSCORE\tCHOSEN\n", w.Free, w.Disk, w.Load, w.Latency)
	for _, k := range e.Workers {
		verdict := ""
		switch {
		case k.Place > 0:
			verdict = fmt.Sprint(k.Place)
		case k.Refusal != "":
			verdict = "no: " + k.Refusal
			if k.Detail != "" {
				verdict += ", " + k.Detail
			}
			if k.Refusal == "suspect" {
				verdict += "; it gets nothing new for some seconds, until it has reported again"
			}
		}
		if verdict == "" && k.Detail != "" {
			verdict = "no: " + k.Detail
		}
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%.2f\t%s\n", k.ID, k.Terms.Free, k.Terms.Disk, k.Terms.Load, k.Terms.Latency, k.Open, k.Score, verdict)
	}
	return t.Flush()
}

// printOpen shows the volumes that take writes now, by where they are. Their decisions
// are much like the table above.
func (e *explanation) printOpen(out io.Writer) {
	var places []string
	on := map[string][]string{}
	for _, v := range e.Open {
		place := v.on()
		if on[place] == nil {
			places = append(places, place)
		}
		on[place] = append(on[place], fmt.Sprint(v.ID))
	}
	if len(places) > 0 {
		what := "a write goes now to one of"
		if len(e.Workers) > 0 && !slices.ContainsFunc(e.Workers, func(k judged) bool { return k.Place > 0 }) {
			what = "no worker can take it as the table says; open are"
		}
		fmt.Fprintln(out, "\n"+what)
	}
	for _, place := range places {
		fmt.Fprintf(out, "  volume %s on %s\n", strings.Join(on[place], ", "), place)
	}
}

// on names the members of a volume, the primary first.
func (v *placed) on() string {
	var members []string
	for _, m := range v.Members {
		members = append(members, m.ID)
	}
	return strings.Join(members, ", ")
}

// printPlaced shows volumes and why they are where they are.
func printPlaced(out io.Writer, volumes []placed) {
	for _, v := range volumes {
		fmt.Fprintf(out, "  volume %d, %s, on %s\n", v.ID, v.State, v.on())
		if v.Decision != "" {
			fmt.Fprintln(out, "    because: "+v.Decision)
		}
		for _, m := range v.Members {
			if m.Cause != "" {
				fmt.Fprintf(out, "    %s came later: %s\n", m.ID, m.Cause)
			}
		}
	}
}
