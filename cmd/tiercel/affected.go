package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/messages"
)

// affectedFile is one of /cluster/replication/files.
type affectedFile struct {
	Tenant    string  `json:"tenant"`
	Path      string  `json:"path"`
	Version   int64   `json:"version"`
	SizeBytes int64   `json:"size_bytes"`
	State     string  `json:"state"`
	VolumeIDs []int64 `json:"volume_ids"`
}

func (a *app) affectedCommand() *command {
	var (
		r     remote
		state string
	)
	cmd := &command{
		Use:   "files",
		Short: "List the files that cannot be read now, or never again",
		Long: `Lists the files of all tenants with content in a volume that 'tiercel replication'
counts as stranded or lost, by tenant and path. A file has the state of its worst piece:

  stranded  no intact copy can be reached; it can be read again when the worker is back
  damaged   every copy of its volume is damaged, or missing on its disk. Where some bytes
            flipped, most of such a volume can be read all the same, so the file may be
            whole: get it to find out. The compaction job moves what is, and names the
            files that are not
  lost      a piece is gone for good: delete the file, or store it again

It goes by the log: a worker counts as away once the master has said so. With --output
json there is one object on each line.`,
		Example: `  tiercel replication files
  tiercel replication files --state lost --tenant research
  tiercel replication files --state lost --output json | jq -r '[.tenant, .path] | @tsv'`,
		Args: wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			tenant := ""
			if c.Flags().Changed("tenant") { // the environment's is of the verbs about one tenant
				tenant = r.tenant
			}
			if err := oneOf("state", state, contentStates(messages.ContentState_value), contentStateNames()); err != nil {
				return &usageError{err: err}
			}
			if tenant != "" {
				if err := model.CheckTenant(tenant); err != nil {
					return &usageError{err: fmt.Errorf("--tenant %q: %s", tenant, err.(*model.Error).Message)}
				}
			}
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			out := bufio.NewWriter(a.stdout)
			return errors.Join(listAffected(c, conn, tenant, state, r.output == "json", out), out.Flush())
		},
	}
	r.addTo(cmd.Flags())
	aboutFiles(cmd.Flags())
	cmd.Flags().Lookup("tenant").Usage = "only files of this `TENANT` (default: of all)"
	cmd.Flags().StringVar(&state, "state", "", "only files in this `STATE`: stranded, damaged or lost")
	return cmd
}

// contentPrefix begins the names of the states in messages.
const contentPrefix = "CONTENT_"

func contentStates(values map[string]int32) map[string]int32 {
	out := make(map[string]int32, len(values))
	for name, value := range values {
		out[strings.TrimPrefix(name, contentPrefix)] = value
	}
	return out
}

func contentStateNames() map[int32]string {
	out := make(map[int32]string, len(messages.ContentState_name))
	for value, name := range messages.ContentState_name {
		out[value] = strings.TrimPrefix(name, contentPrefix)
	}
	return out
}

// listAffected follows the pages to their end, and prints each as it comes.
func listAffected(c *command, conn *client.Client, tenant, state string, asJSON bool, out io.Writer) error {
	found := 0
	for cursor := ""; ; {
		answer, err := conn.Affected(c.Context(), tenant, state, cursor)
		if err != nil {
			return err
		}
		var page struct {
			Files []affectedFile `json:"files"`
			Next  string         `json:"next_cursor"`
		}
		if err := json.Unmarshal(answer, &page); err != nil {
			return unreadableAnswer(err)
		}
		for _, f := range page.Files {
			if found++; found == 1 && !asJSON {
				fmt.Fprintf(out, affectedRow, "STATE", "SIZE", "VERSION", "VOLUMES", "TENANT", "PATH")
			}
			if err := printAffected(out, &f, asJSON); err != nil {
				return fmt.Errorf("cannot write the list: %w", err)
			}
		}
		if page.Next == "" {
			break
		}
		if page.Next == cursor {
			return model.Errorf(model.CodeInternal, "replication files", "the server repeats a page of the list")
		}
		cursor = page.Next
	}
	if found == 0 && !asJSON {
		if state == "" {
			state = "stranded, damaged or lost"
		}
		_, err := fmt.Fprintf(out, "no file is %s\n", state)
		return err
	}
	return nil
}

const affectedRow = "%-8s  %10s  %10s  %-12s  %-12s  %s\n"

func printAffected(out io.Writer, f *affectedFile, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(f)
	}
	var ids []string
	for _, id := range f.VolumeIDs {
		ids = append(ids, strconv.FormatInt(id, 10))
	}
	_, err := fmt.Fprintf(out, affectedRow, f.State, config.FormatBytes(f.SizeBytes), strconv.FormatInt(f.Version, 10), strings.Join(ids, ","), f.Tenant, f.Path)
	return err
}
