package main

import (
	"github.com/spf13/cobra"

	"tiercel/httpapi"
)

// completeValues makes the completion verb say how it is used, and teaches it the
// values of the flags that take one of a few words.
func completeValues(root *command) {
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
	})
}

// completeConfigKeys offers the keys of the cluster's configuration with a suffix.
func completeConfigKeys(suffix string) cobra.CompletionFunc {
	return func(*command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, f := range httpapi.ConfigFields() {
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
