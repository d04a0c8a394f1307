package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
)

const defaultServer = "http://127.0.0.1:8880"

// maxJobs bounds parallel transfers: each has a connection and a buffer.
const maxJobs = 1024

// remote are the flags of every verb that speaks to a server.
type remote struct {
	server, tenant, output string
	access                 clientAccess
	timeout                time.Duration
	quiet                  bool
	jobs                   int
}

func (r *remote) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&r.server, "server", defaultServer, "`URL` of a node; also TIERCEL_SERVER")
	flags.StringVar(&r.tenant, "tenant", "", "`TENANT` whose files are meant (default: the server's); also TIERCEL_TENANT")
	flags.Lookup("tenant").Hidden = true // see aboutFiles
	r.access.addTo(flags)
	addOutput(flags, &r.output)
	flags.DurationVar(&r.timeout, "timeout", client.DefaultTimeout,
		"give up on a file or call after this `DURATION` without progress, retries included")
	flags.BoolVarP(&r.quiet, "quiet", "q", false, "no progress and no notes")
}

// aboutFiles is for verbs about the files of a tenant. The others refuse --tenant, which
// would change nothing that they do; TIERCEL_TENANT may be set for all.
func aboutFiles(flags *pflag.FlagSet) { flags.Lookup("tenant").Hidden = false }

// addJobs is for verbs that do many things at once.
func (r *remote) addJobs(flags *pflag.FlagSet) {
	flags.IntVarP(&r.jobs, "jobs", "j", 16, "how many files at a time, `N` from 1 to 1024")
}

func addOutput(flags *pflag.FlagSet, output *string) {
	flags.StringVarP(output, "output", "o", "table", "`FORM` of the result: table or json; of a verb that asks a server also TIERCEL_OUTPUT")
}

func checkOutput(output string) error {
	if output != "table" && output != "json" {
		return &usageError{err: fmt.Errorf("--output %q is neither table nor json", output)}
	}
	return nil
}

// connect checks the flags and makes the client.
func (a *app) connect(c *command, r *remote) (*client.Client, error) {
	o, err := a.clientOptions(c, r)
	if err != nil {
		return nil, err
	}
	return newClient(o)
}

// clientOptions checks the flags. More than one client can be made of them.
func (a *app) clientOptions(c *command, r *remote) (client.Options, error) {
	a.fromEnvironment(c, map[string]*string{"server": &r.server, "tenant": &r.tenant, "output": &r.output})
	if err := config.UnknownVariables(a.environ); err != nil {
		return client.Options{}, &usageError{err: err}
	}
	if err := checkOutput(r.output); err != nil {
		return client.Options{}, err
	}
	if tenant := c.Flags().Lookup("tenant"); tenant != nil && tenant.Changed && tenant.Hidden {
		return client.Options{}, &usageError{err: fmt.Errorf("--tenant chooses whose files are meant, and '%s' is not about the files of one tenant; leave it out%s", c.CommandPath(), tenantElsewhere(c))}
	}
	if r.timeout <= 0 {
		return client.Options{}, &usageError{err: fmt.Errorf("--timeout %s must be more than nothing", r.timeout)}
	}
	if c.Flags().Lookup("jobs") != nil && (r.jobs < 1 || r.jobs > maxJobs) {
		return client.Options{}, &usageError{err: fmt.Errorf("--jobs %d is not between 1 and %d", r.jobs, maxJobs)}
	}
	o := client.Options{Server: r.server, Tenant: r.tenant, Timeout: r.timeout, Conns: r.jobs}
	if !r.quiet {
		o.OnRetry = (&retryNote{a: a}).note
	}
	if err := a.readAccess(c, &r.access, &o); err != nil {
		return o, err
	}
	if o.Token != "" && !r.quiet && inClear(o.Server) {
		a.complain("warning: the token goes to " + o.Server + " without TLS, and others on the way can read it; use https:// (see 'tiercel certs --help')")
	}
	return o, nil
}

// tenantElsewhere says where a verb wants the tenant, if it does.
func tenantElsewhere(c *command) string {
	switch {
	case c.Name() == "quota":
		return ", or see 'tiercel quota list TENANT'"
	case strings.Contains(c.Use, "TENANT"):
		return ", and give TENANT without it"
	}
	return ""
}

func newClient(o client.Options) (*client.Client, error) {
	made, err := client.New(o)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("%s", client.Message(err))}
	}
	return made, nil
}

// inClear reports whether what is sent to a server leaves this machine unencrypted.
func inClear(server string) bool {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && !ip.IsLoopback()
}

func parseTier(text string) (model.Tier, error) {
	switch text {
	case "":
		return model.TierUnset, nil
	case "1":
		return model.TierCritical, nil
	case "2":
		return model.TierImportant, nil
	case "3":
		return model.TierRebuildable, nil
	}
	return 0, &usageError{err: fmt.Errorf("--tier %q is not 1 (critical), 2 (important) or 3 (rebuildable)", text)}
}

// printJSON writes v on one line.
func (a *app) printJSON(v any) error {
	return json.NewEncoder(a.stdout).Encode(v)
}
