package main

import (
	"fmt"
	"text/tabwriter"

	"tiercel/cmd/tiercel/internal/config"
)

func (a *app) showConfigCommand() *command {
	var r remote
	cmd := &command{
		Use:   "show",
		Short: "Show the configuration of the cluster",
		Long: `Shows every key of the cluster's configuration with its value, and the version of the
whole, which is the index in the log of the last change. What the keys mean is in 'tiercel config keys'.`,
		Example: "  tiercel config show\n  tiercel config show --output json | jq .placement",
		Args:    wantArgs(0, 0, ""),
		RunE:    func(c *command, _ []string) error { return a.showConfig(c, &r, "") },
	}
	r.addTo(cmd.Flags())
	return cmd
}

func (a *app) configKeysCommand() *command {
	var output string
	cmd := &command{
		Use:   "keys",
		Short: "List what can be set in the cluster's configuration, and what it means",
		Long: `Lists the keys of the cluster's configuration with the kind of their values, what a new
cluster begins with, and what they mean. It asks no server. 'tiercel config show' has the values, 'tiercel config set' changes
them; both are the same for all nodes and survive in the log.

What belongs to one node (addresses, directories, labels) is not here but in the flags of
'tiercel server', the environment, and a file such as 'tiercel config example' prints.`,
		Example: "  tiercel config keys\n  tiercel config keys --output json | jq -r '.[].key'",
		Args:    wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if output == "json" {
				return a.printJSON(configFields())
			}
			t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "KEY\tVALUE\tDEFAULT\tMEANING")
			for _, f := range configFields() {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Key, f.Kind, defaultOf(f), f.About)
			}
			return t.Flush()
		},
	}
	addOutput(cmd.Flags(), &output)
	return cmd
}

func (a *app) configExampleCommand() *command {
	return &command{
		Use:   "example",
		Short: "Print a commented configuration file for 'tiercel server'",
		Long: `Prints a YAML file for 'tiercel server --config FILE' with every setting of a node, what it
means, its environment variable and its default, all of it in comments: uncomment what
shall differ. It asks no server.`,
		Example: "  tiercel config example > tiercel.yaml\n  tiercel server --config tiercel.yaml --check",
		Args:    wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			_, err := fmt.Fprint(a.stdout, config.Example())
			return err
		},
	}
}

// explainServer says how a node would run, and starts nothing.
func (a *app) explainServer(c *command, output string) error {
	list, err := config.Explain(c.Flags(), a.environ)
	if err != nil {
		return &usageError{err: err}
	}
	if output == "json" {
		return a.printJSON(list)
	}
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SETTING\tVALUE\tFROM")
	for _, e := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.Name, orDash(e.Value), e.Source)
	}
	return t.Flush()
}
