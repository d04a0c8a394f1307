package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
)

// quotaInfo is what a person is shown of one of /quotas.
type quotaInfo struct {
	Tenant    string  `json:"tenant"`
	Limit     *int64  `json:"limit_bytes"`
	Used      int64   `json:"used_bytes"`
	Reserved  int64   `json:"reserved_bytes"`
	OverQuota bool    `json:"over_quota"`
	Files     int64   `json:"files"`
	FullAt    *string `json:"forecast_full_at"`
}

// nothing reports that there is no such tenant: the server answers for any name.
func (q quotaInfo) nothing() bool {
	return q.Limit == nil && q.Used == 0 && q.Reserved == 0 && q.Files == 0
}

func (a *app) quotaCommand() *command {
	var r remote
	cmd := &command{
		Use:   "quota",
		Short: "Limit what tenants may store, and see how they stand",
		Long: `A tenant's limit is on the bytes of its files together. A write that would go beyond it
is refused before anything of it is placed, and leaves nothing behind. One that declares
more than 8 MiB is judged before its body is read, and its length is RESERVED from then on;
a smaller one when it has arrived; one that declares no length by each 8 MiB.
Without a verb it shows how all tenants stand.`,
		Example: "  tiercel quota\n  tiercel quota set research 10GiB\n  tiercel quota remove research\n  tiercel quota verify",
		Args:    wantArgs(0, 0, ""),
		RunE:    func(c *command, _ []string) error { return a.listQuotas(c, &r, "") },
	}
	r.addTo(cmd.Flags())
	cmd.AddCommand(a.listQuotasCommand(), a.setQuotaCommand(), a.removeQuotaCommand(), a.verifyQuotasCommand())
	return cmd
}

func (a *app) listQuotasCommand() *command {
	var r remote
	cmd := &command{
		Use:   "list [TENANT]",
		Short: "Show limits and usage of all tenants, or of one",
		Long: `Shows every tenant that has files or a limit; one TENANT that has neither, and no write
under way, is not found, and the status is 1. RESERVED is set aside for writes under
way. FULL is when the limit is reached if usage goes on as the present master has seen
it go; - when it does not grow, or was not watched for long enough.`,
		Example: "  tiercel quota list\n  tiercel quota list research --output json",
		Args:    wantArgs(0, 1, "one TENANT"),
		RunE: func(c *command, args []string) error {
			tenant := ""
			if len(args) == 1 {
				if err := checkTenantArgument(args[0]); err != nil {
					return err
				}
				tenant = args[0]
			}
			return a.listQuotas(c, &r, tenant)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// listQuotas prints how all tenants stand, or only one.
func (a *app) listQuotas(c *command, r *remote, tenant string) error {
	quotas, err := a.allQuotas(c, r, tenant)
	switch {
	case err != nil:
		return err
	case tenant != "" && (len(quotas) == 0 || quotas[0].nothing()):
		return model.Errorf(model.CodeNotFound, "", "tenant %s was not found: it has no files, no limit and no writes under way; list all with 'tiercel quota list', or limit it with 'tiercel quota set %s SIZE'", tenant, tenant)
	case r.output == "json":
		return a.printJSON(map[string]any{"quotas": quotas})
	}
	return printQuotas(a.stdout, quotas)
}

// allQuotas follows the pages to their end.
func (a *app) allQuotas(c *command, r *remote, tenant string) ([]quotaInfo, error) {
	conn, err := a.connect(c, r)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	quotas := []quotaInfo{}
	for cursor := ""; ; {
		answer, err := conn.Quotas(c.Context(), tenant, cursor)
		if err != nil {
			return nil, err
		}
		var page struct {
			Quotas []quotaInfo `json:"quotas"`
			Next   string      `json:"next_cursor"`
		}
		if err := json.Unmarshal(answer, &page); err != nil {
			return nil, unreadableAnswer(err)
		}
		quotas = append(quotas, page.Quotas...)
		if page.Next == "" || page.Next == cursor {
			return quotas, nil
		}
		cursor = page.Next
	}
}

func printQuotas(out io.Writer, quotas []quotaInfo) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TENANT\tLIMIT\tUSED\tRESERVED\tSHARE\tFILES\tFULL")
	for _, q := range quotas {
		limit, share, full := "none", "-", "-"
		if q.Limit != nil {
			limit = config.FormatBytes(*q.Limit)
			if *q.Limit > 0 {
				share = strconv.FormatFloat(100*float64(q.Used)/float64(*q.Limit), 'f', 1, 64) + "%"
			}
		}
		if q.OverQuota {
			share += " over"
		}
		if q.FullAt != nil {
			full = *q.FullAt
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", q.Tenant, limit, config.FormatBytes(q.Used), config.FormatBytes(q.Reserved), share, q.Files, full)
	}
	return t.Flush()
}

func checkTenantArgument(tenant string) error {
	if err := model.CheckTenant(tenant); err != nil {
		return &usageError{err: fmt.Errorf("TENANT %q: %s", tenant, err.(*model.Error).Message)}
	}
	return nil
}

func (a *app) setQuotaCommand() *command {
	var r remote
	cmd := &command{
		Use:   "set TENANT SIZE",
		Short: "Limit what a tenant may store",
		Long: `Limits the bytes of a tenant's files together. A limit below what is used is allowed:
nothing is deleted, but whatever raises the usage is refused until it is below again.
The tenant need not have files yet.`,
		Example: "  tiercel quota set research 10GiB\n  tiercel quota set default 1500000000",
		Args:    wantArgs(2, 2, "one TENANT and one SIZE"),
		RunE: func(c *command, args []string) error {
			if err := checkTenantArgument(args[0]); err != nil {
				return err
			}
			limit, err := config.ParseBytes(args[1])
			if err != nil {
				return &usageError{err: fmt.Errorf("SIZE: %w", err)}
			}
			return a.changeQuota(c, &r, args[0], &limit)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

func (a *app) removeQuotaCommand() *command {
	var r remote
	cmd := &command{
		Use:     "remove TENANT",
		Short:   "Take the limit of a tenant away",
		Long:    "Takes the limit of a tenant away; its files stay. A tenant without one is left as it is.",
		Example: "  tiercel quota remove research",
		Args:    wantArgs(1, 1, "one TENANT"),
		RunE: func(c *command, args []string) error {
			if err := checkTenantArgument(args[0]); err != nil {
				return err
			}
			return a.changeQuota(c, &r, args[0], nil)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// changeQuota sets a limit, or takes it away, and confirms what is in force then.
func (a *app) changeQuota(c *command, r *remote, tenant string, limit *int64) error {
	answer, err := a.fetch(c, r, func(conn *client.Client) (json.RawMessage, error) { return conn.SetQuota(c.Context(), tenant, limit) })
	if err != nil || r.output == "json" {
		return a.orJSON(answer, err)
	}
	var q quotaInfo
	if err := json.Unmarshal(answer, &q); err != nil {
		return unreadableAnswer(err)
	}
	text := fmt.Sprintf("tenant %s has no limit; it uses %s\n", q.Tenant, config.FormatBytes(q.Used))
	if q.Limit != nil {
		text = fmt.Sprintf("tenant %s may store %s (%d bytes); it uses %s\n", q.Tenant, config.FormatBytes(*q.Limit), *q.Limit, config.FormatBytes(q.Used))
	}
	if q.OverQuota {
		text += fmt.Sprintf("that is %s over the limit: whatever raises it is refused\n", config.FormatBytes(q.Used-*q.Limit))
	}
	_, err = io.WriteString(a.stdout, text)
	return err
}

func (a *app) verifyQuotasCommand() *command {
	var r remote
	cmd := &command{
		Use:   "verify",
		Short: "Add up every file and compare with what is counted",
		Long: `Adds up the files of each tenant while the cluster goes on, and reports every tenant
whose usage is counted otherwise: then something is wrong, and the status is 1.`,
		Example: "  tiercel quota verify",
		Args:    wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.VerifyQuotas(c.Context()) })
			if err != nil {
				return err
			}
			var v struct {
				OK             bool
				Tenants, Files int
				Differences    []struct {
					Tenant  string
					Counted int64 `json:"counted_bytes"`
					Found   int64 `json:"found_bytes"`
					Files   int64 `json:"counted_files"`
					InFact  int64 `json:"found_files"`
				}
			}
			if err := json.Unmarshal(answer, &v); err != nil {
				return unreadableAnswer(err)
			}
			if r.output == "json" {
				if err := a.printJSON(answer); err != nil {
					return err
				}
			} else {
				for _, d := range v.Differences {
					fmt.Fprintf(a.stdout, "tenant %s: %d bytes in %d files are counted, its files are %d bytes in %d\n", d.Tenant, d.Counted, d.Files, d.Found, d.InFact)
				}
				fmt.Fprintf(a.stdout, "%s in %s were added up\n", counted(v.Files, "file"), counted(v.Tenants, "tenant"))
			}
			if !v.OK {
				return fmt.Errorf("the usage of %s is not what the files come to; keep the cluster's data and report this", counted(len(v.Differences), "tenant"))
			}
			return nil
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}
