package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completeValues makes the completion verb say how it is used, and teaches it the
// values of the flags that take one of a few words, tiers, and the ids of workers.
func (a *app) completeValues(root *command) {
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil && completion != root {
		completion.Example = `  source <(tiercel completion bash)                                  # in this shell
  tiercel completion zsh > "${fpath[1]}/_tiercel"                    # for good
  tiercel completion fish > ~/.config/fish/completions/tiercel.fish`
		for _, shell := range completion.Commands() {
			shell.Example = "  tiercel completion " + shell.Name() + " > tiercel." + shell.Name()
		}
	}
	words := map[string][]string{
		"output": {"table", "json"}, "tier": {"1", "2", "3"}, "disk-type": {"auto", "nvme", "ssd", "hdd"},
		"discovery": {"static", "etcd", "consul", "kubernetes"}, "log-level": {"debug", "info", "warn", "error"}, "log-format": {"text", "json"},
		"kind":  {"repair", "evacuation", "drain", "rebalance", "compaction", "scrub", "adapt"},
		"state": {"running", "paused", "done", "cancelled"},
	}
	walkCommands(root, func(c *command) {
		for flag, values := range words {
			if c.Flags().Lookup(flag) != nil {
				// An error says that somebody has registered one already, which will know better.
				_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
			}
		}
		switch first, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(c.Use, c.Name()), " []"), " "); {
		case c.ValidArgsFunction != nil:
		case first == "WORKER":
			c.ValidArgsFunction = a.completeWorkers
		case first == "TIER":
			c.ValidArgsFunction = completeTiers
		}
	})
}

// completeTiers offers them as the first argument. What follows is on the server, so no
// file of this machine.
func completeTiers(_ *command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"1\tcritical", "2\timportant", "3\trebuildable"}, cobra.ShellCompDirectiveNoFileComp
}

// completionTime is how long a shell waits for a server that does not answer.
const completionTime = time.Second

// completeWorkers asks the server which workers there are. Who waits at a prompt is told
// of no error: the verb itself will say it.
func (a *app) completeWorkers(c *command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	return a.workerIDs(ctx, c), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) workerIDs(ctx context.Context, c *command) []string {
	r := &remote{output: "table", timeout: completionTime, quiet: true}
	for flag, value := range map[string]*string{
		"server": &r.server, "token": &r.access.token, "tls-ca": &r.access.authority, "tls-cert": &r.access.cert, "tls-key": &r.access.key,
	} {
		if f := c.Flags().Lookup(flag); f != nil {
			*value = f.Value.String()
		}
	}
	cl, err := a.connect(c, r)
	if err != nil {
		return nil
	}
	answer, err := cl.Workers(ctx, "")
	if err != nil {
		return nil
	}
	var list struct{ Workers []worker }
	if json.Unmarshal(answer, &list) != nil {
		return nil
	}
	var out []string
	for _, w := range list.Workers {
		out = append(out, cobra.CompletionWithDesc(w.ID, w.Role+", "+w.State+", "+w.Address))
	}
	return out
}

// completeConfigKeys offers the keys of the cluster's configuration with a suffix.
func completeConfigKeys(suffix string) cobra.CompletionFunc {
	return func(*command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, f := range configFields() {
			out = append(out, cobra.CompletionWithDesc(f.Key+suffix, f.About))
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// walkCommands visits c and every verb below it.
func walkCommands(c *command, visit func(*command)) {
	visit(c)
	for _, below := range c.Commands() {
		walkCommands(below, visit)
	}
}
