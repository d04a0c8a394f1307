package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/load"
)

// completeValues makes the completion verb say how it is used, and teaches it the
// values of flags and arguments: those that are one of a few words, and those that the
// server knows.
func (a *app) completeValues(root *command) {
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil && completion != root {
		completion.Args = cobra.ArbitraryArgs
		completion.RunE = func(c *command, args []string) error {
			if len(args) > 0 {
				return &usageError{err: fmt.Errorf("there is no completion for %q; there is one for %s", args[0], strings.Join(verbsOf(c), ", "))}
			}
			return &usageError{err: errors.New("a shell is missing"), hint: c.UsageString()}
		}
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
		"kind":    {"repair", "evacuation", "drain", "rebalance", "compaction", "scrub", "adapt"},
		"outcome": {"done", "unauthenticated", "permission_denied", "not_found", "license_denied", "invalid_argument", "conflict"},
		"state":   {"running", "paused", "done", "cancelled"},
		"role":    {string(model.RoleReadOnly), string(model.RoleReadWrite), string(model.RoleAdmin)},
		"disk":    {"any", "nvme", "ssd", "hdd", "default"},
	}
	for _, level := range license.Levels {
		words["level"] = append(words["level"], string(level))
	}
	words["license-level"] = words["level"]
	if files, _, err := root.Find([]string{"replication", "files"}); err == nil { // other states than those of jobs
		_ = files.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"stranded", "damaged", "lost"}, cobra.ShellCompDirectiveNoFileComp))
	}
	walkCommands(root, func(c *command) {
		for flag, values := range words {
			if c.Flags().Lookup(flag) != nil {
				// An error says that somebody has registered one already, which will know better.
				_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
			}
		}
		if c.Flags().Lookup("server") != nil { // else they are flags of other kinds
			_ = c.RegisterFlagCompletionFunc("tenant", a.asking(tenantNames))
			if c.Flags().Lookup("from") != nil {
				_ = c.RegisterFlagCompletionFunc("from", a.asking(workerIDs))
			}
		}
		if complete := a.completeArguments(c); c.ValidArgsFunction == nil && complete != nil {
			c.ValidArgsFunction = complete
		}
	})
}

// completeArguments knows the arguments of a verb by the names that its usage gives them.
func (a *app) completeArguments(c *command) cobra.CompletionFunc {
	names := strings.TrimPrefix(c.Use, c.Name())
	switch first, more, _ := strings.Cut(strings.Trim(names, " []…"), " "); first {
	case "WORKER":
		return first1(a.asking(workerIDs))
	case "TENANT":
		return first1(a.asking(tenantNames))
	case "ID":
		return first1(a.asking(jobIDs))
	case "TIER":
		if strings.HasPrefix(more, "PATH") {
			return firstThen(completeTiers, a.asking(remotePaths))
		}
		return completeTiers
	case "PATH":
		if strings.HasSuffix(names, "…") {
			return a.asking(remotePaths)
		}
		return first1(a.asking(remotePaths))
	case "FROM":
		return firstThen(a.asking(remotePaths), first1(a.asking(remotePaths)))
	case "SRC":
		return firstThen(a.asking(remotePaths), localFiles)
	case "SRC…":
		return firstThen(localFiles, orLocal(a.asking(remotePaths)))
	case "WORKLOAD":
		return completeWorkloads
	}
	return nil
}

// completeTiers offers them as the first argument. What follows is on the server, so no
// file of this machine.
func completeTiers(_ *command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"1\tcritical", "2\timportant", "3\trebuildable"}, cobra.ShellCompDirectiveNoFileComp
}

// completeWorkloads offers those that are not there yet.
func completeWorkloads(_ *command, args []string, _ string) (out []string, _ cobra.ShellCompDirective) {
	for _, w := range load.Workloads() {
		if !slices.Contains(args, string(w)) {
			out = append(out, string(w))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// firstThen completes the first argument in one way, and what follows in another.
func firstThen(first, then cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return first(c, args, word)
		}
		return then(c, args[1:], word)
	}
}

// first1 completes one argument, and offers nothing behind it.
func first1(only cobra.CompletionFunc) cobra.CompletionFunc {
	return firstThen(only, cobra.NoFileCompletions)
}

// localFiles leaves it to the shell.
func localFiles(*command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// orLocal leaves it to the shell where there is nothing to offer.
func orLocal(remote cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		out, directive := remote(c, args, word)
		if len(out) == 0 {
			directive = cobra.ShellCompDirectiveDefault
		}
		return out, directive
	}
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
