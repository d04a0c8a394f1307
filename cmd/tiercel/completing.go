package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/messages"
)

const (
	// completionTime is how long a shell waits for a server that does not answer.
	completionTime = time.Second
	// maxOffered bounds what is offered of a large directory.
	maxOffered = 200
)

// offer is what a server knows that an argument could be. word is what has been typed.
type offer func(ctx context.Context, conn *client.Client, c *command, word string) ([]string, cobra.ShellCompDirective)

// asking makes a completion of an offer. Who waits at a prompt is told of no error: the
// verb itself will say it.
func (a *app) asking(what offer) cobra.CompletionFunc {
	return func(c *command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completionTime)
		defer cancel()
		r := &remote{output: "table", timeout: completionTime, quiet: true, jobs: 1}
		for flag, value := range map[string]*string{
			"server": &r.server, "tenant": &r.tenant, "token": &r.access.token,
			"tls-ca": &r.access.authority, "tls-cert": &r.access.cert, "tls-key": &r.access.key,
		} {
			if f := c.Flags().Lookup(flag); f != nil {
				*value = f.Value.String()
			}
		}
		o, err := a.clientOptions(c, r)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		conn, err := newClient(o)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer conn.Close()
		out, directive := what(ctx, conn, c, word)
		return out, directive | cobra.ShellCompDirectiveNoFileComp
	}
}

// workerIDs are those of workers that have not left: nothing can be done with one that has.
func workerIDs(ctx context.Context, conn *client.Client, _ *command, _ string) (out []string, _ cobra.ShellCompDirective) {
	var list struct{ Workers []worker }
	if answer, err := conn.Workers(ctx, ""); err != nil || json.Unmarshal(answer, &list) != nil {
		return nil, 0
	}
	for _, w := range list.Workers {
		if w.State != messages.StateName(messages.WorkerState_LEFT) {
			out = append(out, cobra.CompletionWithDesc(w.ID, w.Role+", "+w.State+", "+w.Address))
		}
	}
	return out, 0
}

func tenantNames(ctx context.Context, conn *client.Client, _ *command, _ string) (out []string, _ cobra.ShellCompDirective) {
	var page struct{ Quotas []quotaInfo }
	if answer, err := conn.Quotas(ctx, "", ""); err != nil || json.Unmarshal(answer, &page) != nil {
		return nil, 0
	}
	for _, q := range page.Quotas {
		out = append(out, cobra.CompletionWithDesc(q.Tenant, counted(int(q.Files), "file")+", "+config.FormatBytes(q.Used)))
	}
	return out, 0
}

// jobIDs are those that the verb can do something with.
func jobIDs(ctx context.Context, conn *client.Client, c *command, _ string) (out []string, _ cobra.ShellCompDirective) {
	var list struct{ Jobs []job }
	if answer, err := conn.Jobs(ctx, "", ""); err != nil || json.Unmarshal(answer, &list) != nil {
		return nil, 0
	}
	states := map[string][]string{"pause": {"running"}, "resume": {"paused"}, "cancel": {"running", "paused"}}[c.Name()]
	for _, j := range list.Jobs {
		if states == nil || slices.Contains(states, j.State) {
			out = append(out, cobra.CompletionWithDesc(j.ID, strings.TrimSpace(j.Kind+" "+j.Subject)+", "+j.State))
		}
	}
	return out, 0
}

// remotePaths are the files and directories that word may go on to, one level at a time.
func remotePaths(ctx context.Context, conn *client.Client, _ *command, word string) (out []string, directive cobra.ShellCompDirective) {
	if word == "" {
		word = "/"
	}
	if !strings.HasPrefix(word, "/") {
		return nil, 0
	}
	for e, err := range conn.List(ctx, word, "/") {
		if err != nil || len(out) == maxOffered {
			break
		}
		if e.Prefix != "" {
			out, directive = append(out, e.Prefix), cobra.ShellCompDirectiveNoSpace
		} else {
			out = append(out, cobra.CompletionWithDesc(e.File.Path, config.FormatBytes(e.File.SizeBytes)))
		}
	}
	if len(out) > 1 {
		directive = 0 // the shell adds a space to one that is whole only
	}
	return out, directive
}
