package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// tierInfo is what a person is shown of one of /tiers.
type tierInfo struct {
	ID          int      `json:"id"`
	Name        string   `json:"name"`
	Replication string   `json:"replication"`
	Copies      int      `json:"copies"`
	Consistency string   `json:"consistency"`
	MinCopies   int      `json:"min_copies"`
	Disk        string   `json:"disk_preference"`
	Prefixes    []string `json:"prefixes"`
	Suffixes    []string `json:"suffixes"`
	JobID       string   `json:"job_id"`
	Warnings    []string `json:"warnings"`
}

func (a *app) tierCommand() *command {
	var r remote
	cmd := &command{
		Use:   "tier",
		Short: "Show the tiers and change them",
		Long: `Shows the three tiers: how many copies each keeps, when a write counts as stored, on which
disks, and which paths belong to it. 'tiercel tier set' changes one, and says what becomes
of the copies there are.`,
		Example: "  tiercel tier\n  tiercel tier move 2 /models/old.bin\n  tiercel tier set 3 --copies 2 --prefix /tmp/ --prefix /cache/",
		Args:    wantArgs(0, 0, ""),
		RunE:    func(c *command, _ []string) error { return a.showTiers(c, &r, 0) },
	}
	r.addTo(cmd.Flags())
	cmd.AddCommand(a.showTierCommand(), a.setTierCommand(), a.moveTierCommand())
	return cmd
}

func (a *app) showTierCommand() *command {
	var r remote
	cmd := &command{
		Use:   "show [TIER]",
		Short: "Show the tiers, or one",
		Long: `Shows the tiers as they are now, defaults filled in, or only TIER: 1 (critical),
2 (important) or 3 (rebuildable).`,
		Example: "  tiercel tier show\n  tiercel tier show 1 --output json",
		Args:    wantArgs(0, 1, "one TIER"),
		RunE: func(c *command, args []string) error {
			only := 0
			if len(args) == 1 {
				tier, err := tierArgument(args[0])
				if err != nil {
					return err
				}
				only = tier
			}
			return a.showTiers(c, &r, only)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

func tierArgument(text string) (int, error) {
	if text != "1" && text != "2" && text != "3" {
		return 0, &usageError{err: fmt.Errorf("TIER %q is not 1 (critical), 2 (important) or 3 (rebuildable)", text)}
	}
	return int(text[0] - '0'), nil
}

// showTiers prints all tiers, or only one.
func (a *app) showTiers(c *command, r *remote, only int) error {
	answer, err := a.fetch(c, r, func(conn *client.Client) (json.RawMessage, error) { return conn.Tiers(c.Context()) })
	if err != nil || r.output == "json" && only == 0 {
		return a.orJSON(answer, err)
	}
	var list struct{ Tiers []json.RawMessage }
	if err := json.Unmarshal(answer, &list); err != nil {
		return unreadableAnswer(err)
	}
	var shown []tierInfo
	for _, raw := range list.Tiers {
		var t tierInfo
		if err := json.Unmarshal(raw, &t); err != nil {
			return unreadableAnswer(err)
		}
		switch {
		case only != 0 && t.ID != only:
		case r.output == "json":
			return a.printJSON(raw)
		default:
			shown = append(shown, t)
		}
	}
	return printTiers(a.stdout, shown)
}

func printTiers(out io.Writer, tiers []tierInfo) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIER\tNAME\tCOPIES\tLEAST\tREPLICATION\tCONSISTENCY\tDISK\tPATHS")
	for _, i := range tiers {
		paths := i.Prefixes
		for _, s := range i.Suffixes {
			paths = append(paths, "*"+s)
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", i.ID, i.Name, i.Copies, i.MinCopies, i.Replication, i.Consistency, i.Disk, strings.Join(paths, " "))
	}
	return t.Flush()
}

// tierFlagNames are the flags of the API's fields.
var tierFlagNames = []struct{ field, flag string }{
	{"copies", "--copies"}, {"min_copies", "--min-copies"}, {"disk_preference", "--disk"}, {"prefixes", "--prefix"}, {"suffixes", "--suffix"},
}

// tierFlags are the fields of a tier that can be set.
type tierFlags struct {
	copies, minCopies, disk string
	prefixes, suffixes      []string
}

func (a *app) setTierCommand() *command {
	var (
		r remote
		f tierFlags
	)
	cmd := &command{
		Use:   "set TIER",
		Short: "Change a tier",
		Long: `Changes the fields that are given, and leaves the rest; the word default takes copies,
min-copies and disk back to their defaults. Prefixes and suffixes replace those that are
there, an empty one takes all away, and one that another tier has must be taken away
there first.

Files that lie in the tier stay in it; when it wants more or fewer copies, a job adapts
them.`,
		Example: `  tiercel tier set 1 --copies 3 --min-copies 2
  tiercel tier set 2 --copies default --disk ssd
  tiercel tier set 3 --prefix /tmp/ --prefix /cache/`,
		Args: wantArgs(1, 1, "one TIER"),
		RunE: func(c *command, args []string) error {
			if _, err := tierArgument(args[0]); err != nil {
				return err
			}
			fields, err := f.fields(c)
			if err != nil {
				return err
			}
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.SetTier(c.Context(), args[0], fields) })
			if model.CodeOf(err) == model.CodeInvalidArgument {
				return &usageError{err: byFlags(err, tierFlagNames)}
			}
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			var t tierInfo
			if err := json.Unmarshal(answer, &t); err != nil {
				return unreadableAnswer(err)
			}
			if err := printTiers(a.stdout, []tierInfo{t}); err != nil {
				return err
			}
			switch {
			case t.JobID == "" && f.copies != "":
				fmt.Fprintln(a.stdout, "volumes that are open get their copies when they are sealed; 'tiercel jobs' shows it then")
			case t.JobID != "":
				fmt.Fprintf(a.stdout, "job %s adapts the copies; 'tiercel jobs %s --watch' shows how it goes on\n", t.JobID, t.JobID)
			}
			printWarnings(a.stdout, t.Warnings)
			return nil
		},
	}
	r.addTo(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&f.copies, "copies", "", "`N` copies of each file, 1 to 16, or default")
	flags.StringVar(&f.minCopies, "min-copies", "", "refuse writes with fewer than `N` copies, or default")
	flags.StringVar(&f.disk, "disk", "", "`TYPE` of disk that is preferred: nvme, ssd, hdd, any, or default")
	flags.StringArrayVar(&f.prefixes, "prefix", nil, "`PREFIX` of paths that belong to the tier; may be repeated")
	flags.StringArrayVar(&f.suffixes, "suffix", nil, "`SUFFIX` of file names that belong to the tier, such as .emm; may be repeated")
	return cmd
}

// fields are what was given, for the request.
func (f *tierFlags) fields(c *command) (map[string]any, error) {
	fields := map[string]any{}
	for _, number := range []struct{ flag, key, text string }{{"copies", "copies", f.copies}, {"min-copies", "min_copies", f.minCopies}} {
		if !c.Flags().Changed(number.flag) {
			continue
		}
		n, err := strconv.ParseUint(number.text, 10, 32)
		switch {
		case number.text == "default":
			fields[number.key] = nil
		case err != nil:
			return nil, &usageError{err: fmt.Errorf("--%s %q is neither a number nor the word default", number.flag, number.text)}
		default:
			fields[number.key] = n
		}
	}
	if c.Flags().Changed("disk") {
		fields["disk_preference"] = any(f.disk)
		if f.disk == "default" {
			fields["disk_preference"] = nil
		}
	}
	for _, list := range []struct {
		flag, key string
		values    []string
	}{{"prefix", "prefixes", f.prefixes}, {"suffix", "suffixes", f.suffixes}} {
		if slices.Contains(list.values, "default") {
			return nil, &usageError{err: fmt.Errorf("--%s default means nothing: name all that are to belong to the tier", list.flag)}
		}
		if c.Flags().Changed(list.flag) {
			fields[list.key] = list.values
		}
		if len(list.values) == 1 && list.values[0] == "" { // --prefix "": none
			fields[list.key] = []string{}
		}
	}
	if len(fields) == 0 {
		return nil, &usageError{err: errors.New("nothing to change: give --copies, --min-copies, --disk, --prefix or --suffix")}
	}
	return fields, nil
}
