package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"tiercel/cluster/access"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/tokens"
)

const accessList = "./tokens.yaml"

func addTokenFile(flags *pflag.FlagSet, file *string) {
	flags.StringVar(file, "file", accessList, "token `FILE`, as of 'tiercel server --auth-tokens'")
}

func (a *app) tokenCommand() *command {
	cmd := &command{
		Use:   "token",
		Short: "Make and revoke the bearer tokens that a server asks for",
		Long: `Works on the YAML file that 'tiercel server --auth-tokens FILE' reads. The file holds
only hashes; a token is shown once, when it is made. Give the same file to every
node: a server sees within seconds that it has changed, and needs no restart.

A token has a role and is bound to one tenant or to the cluster:

  read-only    reads files
  read-write   writes, moves and deletes them, too
  admin        bound to the cluster: manages it, too; bound to a tenant: as read-write

One bound to a tenant reaches that tenant and nothing else. One bound to the cluster
sees status, workers, jobs and metrics, and the files of the default tenant; as admin
those of every tenant.

The file, for those who write it by other means; anything else in it is refused:

  tokens:
    - name: trainer          # unique; goes into logs
      role: read-write       # read-only, read-write or admin
      tenant: acme           # or "cluster: true"
      expires: 2027-01-31    # a day or a time, or left out
      sha256: 5f0c…          # as 'tiercel token hash' prints it

` + auditIs,
		Example: `  tiercel token create --name ops --role admin --cluster
  tiercel token create --name trainer --role read-write --tenant acme --expires 90d
  tiercel server --auth-tokens tokens.yaml
  TIERCEL_TOKEN=tiercel_… tiercel status`,
		Args: wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			return &usageError{err: errors.New("a verb is missing"), hint: c.UsageString()}
		},
	}
	cmd.AddCommand(a.createTokenCommand(), a.listTokensCommand(), a.revokeTokenCommand(), a.hashTokenCommand())
	return cmd
}

func (a *app) createTokenCommand() *command {
	var (
		file, expires, output string
		e                     access.Entry
		role                  string
	)
	cmd := &command{
		Use:   "create --name NAME --role ROLE (--tenant TENANT | --cluster)",
		Short: "Make a token, add its hash to the file and show it once",
		Long: `Makes a random token, adds its hash to the file, which is made if it is not there,
and prints the token alone to standard output. Nobody can find it out again.

What manages the cluster is for admins bound to it. Of one tenant, an admin may do what
read-write may and no more.`,
		Example: `  tiercel token create --name ops --role admin --cluster
  tiercel token create --name ci --role read-only --tenant acme --expires 2027-01-31
  TIERCEL_TOKEN=$(tiercel token create --name me --role read-write --tenant acme)`,
		Args: wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			e.Role = model.Role(role)
			var err error
			if e.Expires, err = parseExpiry(expires, time.Now()); err != nil {
				return &usageError{err: fmt.Errorf("--expires: %w", err)}
			}
			secret, err := access.NewSecret(rand.Reader)
			if err != nil {
				return err
			}
			if e.Hash, err = access.HashOf(secret); err != nil {
				return err
			}
			switch {
			case e.Name == "":
				return &usageError{err: errors.New("give the token a --name, which goes into logs")}
			case (e.Tenant != "") == e.Cluster:
				return &usageError{err: errors.New("give either --tenant TENANT, to bind the token to one tenant, or --cluster")}
			}
			if problems := e.Check(); len(problems) > 0 {
				return &usageError{err: errors.Join(problems...)}
			}
			if err := tokens.Add(file, e); err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(map[string]any{"name": e.Name, "role": e.Role, "tenant": e.Tenant, "cluster": e.Cluster, "file": file, "token": secret, "remark": e.Remark()})
			}
			a.complain(fmt.Sprintf("added %s to %s; keep the token, it is not shown again", e.Name, file))
			if remark := e.Remark(); remark != "" {
				a.complain(fmt.Sprintf("note: %s: %s", e.Name, remark))
			}
			_, err = fmt.Fprintln(a.stdout, secret)
			return err
		},
	}
	flags := cmd.Flags()
	addTokenFile(flags, &file)
	flags.StringVar(&e.Name, "name", "", "`NAME` of the token in logs; unique in the file")
	flags.StringVar(&role, "role", "", "`ROLE`: read-only, read-write or admin")
	flags.StringVar(&e.Tenant, "tenant", "", "bound to this `TENANT`")
	flags.BoolVar(&e.Cluster, "cluster", false, "bound to the cluster")
	flags.StringVar(&expires, "expires", "", "`WHEN` it ends: a time, a day, or how long from now such as 90d or 12h (default: never)")
	addOutput(flags, &output)
	return cmd
}

// parseExpiry reads an end; empty: never.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := tokens.ParseTime(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, notNumber := strconv.ParseUint(days, 10, 16); notNumber == nil {
			at, err = now.AddDate(0, 0, int(n)), nil
		}
	} else if d, notDuration := time.ParseDuration(text); notDuration == nil {
		at, err = now.Add(d), nil
	}
	if err != nil {
		return at, fmt.Errorf("%w, nor how long from now, such as 90d or 12h", err)
	}
	if !at.After(now) {
		return at, fmt.Errorf("%q is over already", text)
	}
	return at.UTC().Truncate(time.Second), nil
}

// shownToken is a token as list shows it.
type shownToken struct {
	Name    string     `json:"name"`
	Role    model.Role `json:"role"`
	Tenant  string     `json:"tenant"`
	Cluster bool       `json:"cluster"`
	Expires *time.Time `json:"expires"`
	Expired bool       `json:"expired"`
	Remark  string     `json:"remark"`
}

func (a *app) listTokensCommand() *command {
	var file, output string
	cmd := &command{
		Use: "list", Short: "Check a token file and show what is in it",
		Long: `Reads the file as a server would, says everything that is wrong with it, and shows the
tokens by name: their roles, what they are bound to and when they end. No token itself.`,
		Example: "  tiercel token list\n  tiercel token list --file /etc/tiercel/tokens.yaml --output json",
		Args:    wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			table, err := tokens.Read(file)
			if err != nil {
				return err
			}
			list := []shownToken{}
			for _, e := range table.Entries() {
				t := shownToken{Name: e.Name, Role: e.Role, Tenant: e.Tenant, Cluster: e.Cluster, Expired: e.Expired(time.Now()), Remark: e.Remark()}
				if !e.Expires.IsZero() {
					t.Expires = &e.Expires
				}
				list = append(list, t)
			}
			if output == "json" {
				return a.printJSON(map[string]any{"tokens": list})
			}
			return a.printTokens(list)
		},
	}
	addTokenFile(cmd.Flags(), &file)
	addOutput(cmd.Flags(), &output)
	return cmd
}

func (a *app) printTokens(list []shownToken) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tBOUND TO\tEXPIRES")
	for _, t := range list {
		bound, expires := "the cluster", "never"
		if t.Tenant != "" {
			bound = "tenant " + t.Tenant
		}
		if t.Expires != nil {
			expires = t.Expires.UTC().Format(time.RFC3339)
		}
		if t.Expired {
			expires += ", over"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.Name, t.Role, bound, expires)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, t := range list {
		if t.Remark != "" {
			a.complain(fmt.Sprintf("note: %s: %s", t.Name, t.Remark))
		}
	}
	return nil
}

func (a *app) revokeTokenCommand() *command {
	var file, output string
	cmd := &command{
		Use: "revoke NAME", Short: "Take a token out of the file; servers that read it refuse the token within seconds",
		Long: `Removes the token of that name from the file. Each node reads its own copy: give the
file to all of them, or the token is good where the old one lies. A node that has read it says
so in its audit log ('tiercel audit --action "reload tokens"'), and who comes with the token
then is there, too ('tiercel audit --outcome unauthenticated').`,
		Example: "  tiercel token revoke trainer\n  tiercel token revoke trainer --file /etc/tiercel/tokens.yaml",
		Args:    wantArgs(1, 1, "one NAME"),
		RunE: func(_ *command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if err := tokens.Remove(file, args[0]); err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(map[string]any{"name": args[0], "file": file, "revoked": true})
			}
			if _, err := fmt.Fprintf(a.stdout, "revoked %s in %s\n", args[0], file); err != nil {
				return err
			}
			a.complain(fmt.Sprintf("note: nodes that read %s refuse it within seconds; give the file to those that read another copy. 'tiercel token list --file %s' shows who is left", file, file))
			return nil
		},
	}
	addTokenFile(cmd.Flags(), &file)
	addOutput(cmd.Flags(), &output)
	return cmd
}

func (a *app) hashTokenCommand() *command {
	return &command{
		Use: "hash", Short: "Read a token from standard input and print the hash that a token file wants",
		Long: `Reads one token of the form that 'tiercel token create' makes from standard input and
prints its hash, for token files that another tool writes.`,
		Example: "  printf %s \"$TIERCEL_TOKEN\" | tiercel token hash",
		Args:    wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			text, err := bufio.NewReader(io.LimitReader(a.stdin, 4096)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			hash, err := access.HashOf(strings.TrimSpace(text))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, hash)
			return err
		},
	}
}
