package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"tiercel/actors"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/store"
)

func (a *app) takeoverCommand() *command {
	var (
		dir, output string
		yes         bool
	)
	cmd := &command{
		Use:   "takeover --data-dir DIR [--yes]",
		Short: "Make a stopped standby the master of its cluster, by hand",
		Long: `For a cluster whose master is gone for good and which has no other voters: two
nodes, or a cluster founded with --failover=false. Run it on the data directory of
the standby (role learner in 'tiercel workers') while that node is stopped, then
start the node as before. It also helps a cluster that has lost a majority of its
voters for good: then run it on the voter whose log goes furthest, which
'tiercel recover' names. The other voters are given up, with what only they hold: it says
how much that is by the catalog that is taken over. Where their directories are still
there, 'tiercel recover --discard-log' over all of them keeps their volumes.

Without --yes it only says what would happen; the status is then 0 when it could be
done, 1 when not.

The standby goes on with what its own log holds. Every acknowledged write of tier 1
is in it; the newest writes of tiers 2 and 3 may not be. The old master must not run
any more: until it meets the new generation it would go on as a second cluster. When
it does meet it, it stops, keeps its data, and tells you to start it with --join: then
its data is set aside in quarantine/ and it comes back as a new node.`,
		Example: `  tiercel takeover --data-dir /srv/tiercel
  tiercel takeover --data-dir /srv/tiercel --yes && tiercel server --data-dir /srv/tiercel`,
		Args: wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			fs, err := existingDir("take over", dir)
			if err != nil {
				return err
			}
			t, err := actors.TakeOver(fs, rand.Reader, yes)
			if err != nil {
				return err
			}
			if yes {
				a.acted(dir, t.Node, "takeover", takeoverDone(t), nil)
			}
			if output == "json" {
				return a.printJSON(takeoverJSON(t, yes))
			}
			a.printTakeover(t, yes)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "data-dir", "./tiercel-data", "`DIR` of the stopped node")
	flags.BoolVar(&yes, "yes", false, "do it: the other members of the log are gone for good")
	addOutput(flags, &output)
	return cmd
}

// takeoverDone is what the audit log keeps of it.
func takeoverDone(t *actors.Takeover) string {
	done := fmt.Sprintf("made the only voter, at generation %d, fork %s, after log index %d; left behind %s", t.Generation, t.Fork, t.At, counted(len(t.Superseded), "member"))
	if t.Left != nil {
		done += fmt.Sprintf(", who alone hold %s with %s, of %s", counted(t.Left.Volumes, "volume"), config.FormatBytes(int64(t.Left.Bytes)), counted(int(t.Left.Files), "file"))
	}
	return done
}

// existingDir refuses a name in which a store would begin anew.
func existingDir(op, dir string) (store.FS, error) {
	if _, err := os.Stat(dir + "/node.yaml"); err != nil {
		return nil, model.Errorf(model.CodeNotFound, op, "%s is no data directory of a node: %w", dir, err)
	}
	return store.NewDirFS(dir)
}

func takeoverJSON(t *actors.Takeover, done bool) map[string]any {
	out := map[string]any{
		"node": t.Node, "cluster_id": t.ClusterID, "generation": t.Generation, "log_end": t.At, "committed": t.Committed,
		"left_behind": len(t.Superseded), "left_behind_only": t.Left, "done": done, "fork": nil, "last_write_at": nil,
	}
	if t.Fork != "" {
		out["fork"] = t.Fork
	}
	if !t.LastWritten.IsZero() {
		out["last_write_at"] = t.LastWritten.UTC().Format(time.RFC3339)
	}
	return out
}

func (a *app) printTakeover(t *actors.Takeover, done bool) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("node", "%s of cluster %s", t.Node, t.ClusterID)
	row("generation", "%d instead of %d", t.Generation, t.Generation-1)
	row("log", "ends at %d, known to be committed up to %d", t.At, t.Committed)
	if !t.LastWritten.IsZero() {
		row("last write", "%s, by the clock of the node that took it", t.LastWritten.UTC().Format(time.RFC3339))
	}
	row("left behind", "%s: gone for good, with what only they hold", counted(len(t.Superseded), "member"))
	a.takeoverCosts(t, done, row)
	if done {
		row("done", "fork %s; start the node now", t.Fork)
		return
	}
	row("next", "nothing was changed; repeat with --yes when the old master is gone for good")
}

// takeoverCosts says what is given up, and how that could be kept.
func (a *app) takeoverCosts(t *actors.Takeover, done bool, row func(name, format string, args ...any)) {
	switch {
	case t.Left == nil:
		row("", "what that is cannot be counted: %s", t.LeftUnknown)
		return
	case t.Left.Volumes == 0:
		row("", "by the catalog here they hold nothing alone: of each volume in use a copy is on another node")
		return
	}
	row("", "by the catalog here that is %s with %s in use, and content of %s",
		counted(t.Left.Volumes, "volume"), config.FormatBytes(int64(t.Left.Bytes)), counted(int(t.Left.Files), "file"))
	if done {
		row("", "it is lost to this cluster from its start on; before that, 'tiercel recover' can still keep it:")
	} else {
		row("", "where their directories are still there, 'tiercel recover' keeps it instead of this:")
	}
	row("", "  tiercel recover --discard-log --data-dir THIS --data-dir THEIRS…")
	row("", "it knows of the newest changes only those that were journaled, and says so before it does anything")
}
