package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
)

func (a *app) moveTierCommand() *command {
	var (
		r         remote
		recursive bool
	)
	cmd := &command{
		Use:   "move TIER PATH…",
		Short: "Move files that are stored already to another tier",
		Long: `Moves each PATH to TIER: 1 (critical), 2 (important) or 3 (rebuildable). With -r every file
whose path begins with PATH. The content is copied to volumes of that tier; versions and
readers are not disturbed. What cannot be moved is told, and the rest is moved all the
same. New files go by the table of prefixes, which 'tiercel tier set' changes.`,
		Example: `  tiercel tier move 2 /models/old.bin
  tiercel tier move 3 -r /datasets/2024/`,
		Args: wantArgs(2, -1, "TIER and at least one PATH"),
		RunE: func(c *command, args []string) error {
			tier, err := tierArgument(args[0])
			if err != nil {
				return err
			}
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			var sum client.Retiered
			for _, path := range args[1:] {
				if err := moveTier(c, conn, path, recursive, tier, &sum); err != nil {
					return err
				}
			}
			return a.reportTierMove(&r, tier, &sum)
		},
	}
	r.addTo(cmd.Flags())
	aboutFiles(cmd.Flags())
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "every file whose path begins with PATH")
	return cmd
}

// moveTier does one path or prefix, as often as the server wants to be asked.
func moveTier(c *command, conn *client.Client, path string, recursive bool, tier int, sum *client.Retiered) error {
	kind, check := "path", model.CheckPath
	if recursive {
		kind, check = "prefix", model.CheckPrefix
	}
	if err := check(path); err != nil || path == "" {
		return &usageError{err: fmt.Errorf("%q is no %s: %s", path, kind, client.Message(errors.Join(err)))}
	}
	where := map[string]any{kind: path}
	for {
		done, err := conn.Retier(c.Context(), where, tier)
		if !recursive && model.CodeOf(err) == model.CodeNotFound {
			if holds, failed := conn.Holds(c.Context(), path); failed == nil && holds {
				return model.Errorf(model.CodeNotFound, "tier move", "there is no file %s, but there are files below it; -r %s/ takes them all", path, path)
			}
		}
		if err != nil {
			return err
		}
		sum.Moved += done.Moved
		sum.MovedBytes += done.MovedBytes
		sum.Unchanged += done.Unchanged
		sum.Failed = append(sum.Failed, done.Failed...)
		if done.Next == "" {
			return nil
		}
		where["after"] = done.Next
	}
}

func (a *app) reportTierMove(r *remote, tier int, sum *client.Retiered) error {
	if r.output == "json" {
		if err := a.printJSON(sum); err != nil {
			return err
		}
	} else {
		for _, f := range sum.Failed {
			a.complain(fmt.Sprintf("%s: %s (%s)", f.Path, f.Message, f.Code))
		}
	}
	if r.output != "json" && !r.quiet {
		fmt.Fprintf(a.stdout, "moved %s, %s, to tier %d; %d were there already\n", counted(int(sum.Moved), "file"), config.FormatBytes(sum.MovedBytes), tier, sum.Unchanged)
	}
	if len(sum.Failed) == 0 {
		return nil
	}
	first := sum.Failed[0]
	return reported(model.Code(first.Code), "%s could not be moved; the first: %s: %s", counted(len(sum.Failed), "file"), first.Path, first.Message)
}

// brakeHolds reports whether there is something to release. A status that does not say so
// is of a node that cannot know.
func brakeHolds(c *command, conn *client.Client) (bool, error) {
	answer, err := conn.Status(c.Context())
	if err != nil {
		return false, err
	}
	var status struct {
		Brake *struct{ Engaged *bool } `json:"storm_brake"`
	}
	if err := json.Unmarshal(answer, &status); err != nil {
		return false, unreadableAnswer(err)
	}
	return status.Brake == nil || status.Brake.Engaged == nil || *status.Brake.Engaged, nil
}

func (a *app) releaseBrakeCommand() *command {
	var r remote
	cmd := &command{
		Use:   "release-brake",
		Short: "Let mass repair go on although many workers are missing",
		Long: `When many workers go missing at once, as when a network is cut, copying everything anew
is held back: 'tiercel status' warns, and says how much would move. This lets it go on:
for when they are gone for good. Where no brake holds it says so, and changes nothing.`,
		Example: "  tiercel status\n  tiercel workers release-brake",
		Args:    wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			holds, err := brakeHolds(c, conn)
			if err != nil {
				return err
			}
			if !holds {
				if r.output == "json" {
					return a.printJSON(map[string]any{"released": false})
				}
				_, err = fmt.Fprintln(a.stdout, "no brake holds: mass repair is not held back, and nothing was changed")
				return err
			}
			if err := conn.ReleaseBrake(c.Context()); err != nil {
				return err
			}
			if r.output == "json" {
				return a.printJSON(map[string]any{"released": true})
			}
			_, err = fmt.Fprintln(a.stdout, "mass repair goes on")
			return err
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}
