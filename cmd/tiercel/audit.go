package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"tiercel/cmd/tiercel/internal/audit"
	"tiercel/cmd/tiercel/internal/tokens"
	"tiercel/httpapi"
)

// auditIs is what the audit log is, for the help of every verb where somebody looks for it.
const auditIs = `Each node keeps an audit log of what it was asked, one JSON object a line, in audit/ of its
--data-dir; 'tiercel audit' shows it:

  audit.log    management actions, done, failed and refused: when, by which token (its name),
               from where, what, and what came of it; and which tokens the node's token file
               added, revoked or changed when it was read again; and 'tiercel takeover',
               'recover' and 'restore' on its directory, whoever on the machine ran them
  refused.log  every other request that was refused for who sent it, files included: without
               a known token (401), for its role (403), for another tenant's files (404);
               the same from one address within a minute is one line more, with a number

No token is ever written down. A full file of 16 MiB becomes audit.log.1 (up to .7) or
refused.log.1; the oldest go, so there are 160 MiB at most. An action's line is on disk before
its answer is sent (of a backup: when its stream ends). An action whose line cannot be written,
on a full disk say, is done all the same: operators must be able to act then. Its line goes to
the node's own log on standard error, and 'tiercel status' warns until lines can be written.`

func (a *app) auditCommand() *command {
	var (
		o             auditWish
		since, output string
		dirs          []string
	)
	cmd := &command{
		Use:   "audit [--data-dir DIR…] [FILE…]",
		Short: "Show who managed a node, and who was refused, from its audit log",
		Long: auditIs + `

This verb reads the log on the node's machine, as the user that the node runs as, whether
the node runs or not, and shows the newest lines, the newest last. It asks no server. The log
of a cluster is that of all its nodes: copy their audit directories to one place and name each
with --data-dir; the lines are put in order of time, and each names its node; a directory that is named twice counts once. To follow a log
use tail -F on its files. Lines that cannot be read are left out and counted.`,
		Example: `  tiercel audit --data-dir /srv/tiercel
  tiercel audit --data-dir /srv/tiercel --since 1h --action drain
  tiercel audit --since 2027-01-31 --outcome unauthenticated --limit 0
  for n in node-1 node-2; do scp -rq $n:/srv/tiercel/audit ./audit-$n; done; tiercel audit --data-dir audit-node-1 --data-dir audit-node-2
  tiercel audit --limit 0 --output json | jq -r '.lines[] | select(.status == 403) | .token'`,
		Args: wantArgs(0, -1, ""),
		RunE: func(c *command, files []string) error {
			err := checkOutput(output)
			if err == nil && o.most < 0 {
				err = &usageError{err: fmt.Errorf("--limit %d is less than nothing", o.most)}
			}
			if err != nil {
				return err
			}
			if o.filter.Since, err = parseSince(since, time.Now()); err != nil {
				return &usageError{err: fmt.Errorf("--since: %w", err)}
			}
			if len(files) > 0 && !c.Flags().Changed("data-dir") {
				dirs = nil
			}
			log, err := audit.OpenReader(dirs, files)
			if err != nil {
				return err
			}
			if output == "json" {
				return errors.Join(a.auditJSON(log, o), log.Close())
			}
			return errors.Join(a.auditTable(log, o), log.Close())
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&dirs, "data-dir", []string{"./tiercel-data"}, "`DIR` of the node, or a copy of its audit directory; more than once for several nodes")
	flags.StringVar(&since, "since", "", "only from `WHEN` on: how long ago such as 1h or 7d, a time, or a day")
	flags.StringVar(&o.filter.Action, "action", "", "only with `TEXT` in what was asked, such as drain, \"POST /quotas\" or \"reload tokens\"")
	flags.StringVar(&o.filter.Outcome, "outcome", "", "only with this `OUTCOME`: done, or an error code such as unauthenticated or permission_denied")
	flags.Int64VarP(&o.most, "limit", "n", 100, "the newest `N` lines; 0: all")
	addOutput(flags, &output)
	return cmd
}

// auditWish is what of a log shall be shown.
type auditWish struct {
	filter audit.Filter
	most   int64
}

// parseSince reads a moment that is over; empty: the beginning.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := tokens.ParseTime(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, notNumber := strconv.ParseUint(days, 10, 16); notNumber == nil {
			at, err = now.AddDate(0, 0, -int(n)), nil
		}
	} else if d, notDuration := time.ParseDuration(text); notDuration == nil && d >= 0 {
		at, err = now.Add(-d), nil
	}
	if err != nil {
		return at, fmt.Errorf("%w, nor how long ago, such as 90m, 1h or 7d", err)
	}
	return at, nil
}

// auditJSON writes one object, line by line: nobody holds all of them.
func (a *app) auditJSON(log *audit.Reader, o auditWish) error {
	report, err := log.Survey(o.filter, o.most)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.stdout)
	before := "{\"lines\":["
	err = log.Show(o.filter, report, func(line *httpapi.Action) error {
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n%s", before, text)
		before = ","
		return err
	})
	if err != nil {
		return err
	}
	if report.Shown > 0 {
		before = ""
	}
	fmt.Fprintf(out, "%s],\n\"earlier_lines\":%d,\"unreadable_lines\":%d,\"torn_lines\":%d}\n", before, report.Lines-report.Shown, report.Unreadable, report.Torn)
	return out.Flush()
}

func (a *app) auditTable(log *audit.Reader, o auditWish) error {
	report, err := log.Survey(o.filter, o.most)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.stdout)
	row := func(node, at, token, from, outcome, what string) error {
		if report.Nodes > 1 || log.Dirs() > 1 {
			fmt.Fprintf(out, "%-18s  ", node) // Flush tells
		}
		_, err := fmt.Fprintf(out, "%-20s  %-14s  %-21s  %-17s  %s\n", at, token, from, outcome, what)
		return err
	}
	err = row("NODE", "TIME", "TOKEN", "FROM", "OUTCOME", "WHAT")
	if err == nil {
		err = log.Show(o.filter, report, func(l *httpapi.Action) error {
			return row(orDash(l.Node), l.At.UTC().Format(time.RFC3339), orDash(shown(l.Name)), orDash(shown(l.Remote)), shown(l.Outcome), auditWhat(l))
		})
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	for _, note := range []struct {
		n    int64
		what string
	}{
		{report.Lines - report.Shown, "earlier lines that are not shown (--limit 0 shows all)"},
		{report.Unreadable, "lines that cannot be read (cut short by a crash or a full disk, or of no audit log)"},
		{report.Torn, "files that end in the middle of a line (a crash, or it is being written)"},
	} {
		if note.n > 0 {
			fmt.Fprintf(a.stderr, "note: %s: %d\n", note.what, note.n)
		}
	}
	return nil
}

// maxAuditWhat bounds what the table says of a line; JSON has all of it.
const maxAuditWhat = 300

// auditWhat is what was asked, and what else the line knows.
func auditWhat(l *httpapi.Action) string {
	what := audit.Asked(l)
	if l.Body != "" {
		what += " " + l.Body
	}
	if l.Repeated > 0 {
		what += fmt.Sprintf("  ×%d until %s", l.Repeated, l.Until.UTC().Format(time.RFC3339))
	}
	if l.Detail != "" {
		what += "  (" + l.Detail + ")"
	}
	return shown(what)
}

// shown is a text fit for a terminal, whatever is in the file: on one line, bounded.
func shown(text string) string {
	runes := []rune(text)
	if len(runes) > maxAuditWhat {
		runes = append(runes[:maxAuditWhat], '…')
	}
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '·'
		}
	}
	return string(runes)
}
