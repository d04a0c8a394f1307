package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"tiercel/cluster/license"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
)

func (a *app) configCommand() *command {
	var r remote
	cmd := &command{
		Use:   "config",
		Short: "Show the configuration of the cluster and change it",
		Long: `Shows the configuration of the cluster, as 'tiercel config show' does. It is one for all
nodes, kept in the log, and can be changed while they run: 'config keys' lists what there
is, 'config get' reads one value, 'config set' changes some. The version is the index in the
log of the last change.

The configuration of one node is another: it has the flags of 'tiercel server', the
environment (TIERCEL_…) and a YAML file, which 'config example' prints with comments.

Who changed what is in the audit log of the node that was asked, audit/audit.log of its data
directory, refused changes too: 'tiercel audit --action config' there shows it, 'tiercel audit
--help' says what else is in it, for how long, and what happens when it cannot be written.`,
		Example: "  tiercel config\n  tiercel config keys\n  tiercel config get placement.weights.latency\n  tiercel config set background_bytes_per_second=100MiB/s rebalance.automatic=false",
		Args:    wantArgs(0, 0, ""),
		RunE:    func(c *command, _ []string) error { return a.showConfig(c, &r, "") },
	}
	r.addTo(cmd.Flags())
	cmd.AddCommand(a.showConfigCommand(), a.getConfigCommand(), a.setConfigCommand(), a.configKeysCommand(), a.configExampleCommand())
	return cmd
}

func (a *app) getConfigCommand() *command {
	var r remote
	cmd := &command{
		Use:   "get [KEY]",
		Short: "Show the configuration, or the exact value of one KEY",
		Long: `Prints the exact value of one KEY, for scripts, or without a KEY all of them. That a value
has no effect at the licence level in force is said beside it, on standard error for one KEY.
'tiercel config keys' lists the keys.`,
		Example: "  tiercel config get\n  tiercel config get disk.warn_used_share",
		Args:    wantArgs(0, 1, "one KEY"),

		ValidArgsFunction: completeConfigKeys(""),
		RunE: func(c *command, args []string) error {
			key := ""
			if len(args) == 1 {
				key = args[0]
			}
			return a.showConfig(c, &r, key)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// showConfig prints all keys, or the value of one.
func (a *app) showConfig(c *command, r *remote, key string) error {
	answer, err := a.fetch(c, r, func(conn *client.Client) (json.RawMessage, error) { return conn.Config(c.Context()) })
	if err != nil || r.output == "json" && key == "" {
		return a.orJSON(answer, err)
	}
	if key == "" {
		return a.printConfig(answer)
	}
	values, idle, err := settingsOf(answer)
	if err != nil {
		return err
	}
	value, known := values[key]
	if !known {
		return &usageError{err: fmt.Errorf("there is no key %q%s", key, nearSettings(key, slices.Sorted(maps.Keys(values))))}
	}
	if why := idle[key]; why != "" { // not for the script that reads the value
		fmt.Fprintf(a.stderr, "note: %s is %v and has no effect: %s\n", key, value, why)
	}
	if r.output == "json" {
		return a.printJSON(map[string]any{key: value})
	}
	_, err = fmt.Fprintln(a.stdout, value)
	return err
}

// nearSettings ends a refusal of an unknown key: with all keys that begin or end with
// it, or else with the nearest, and without any with where they are listed.
func nearSettings(key string, known []string) string {
	var near []string
	for _, k := range known {
		if strings.HasPrefix(k, key) || strings.HasSuffix(k, "."+key) {
			near = append(near, k)
		}
	}
	if one := config.Nearest(key, known); len(near) == 0 && one != "" {
		near = []string{one}
	}
	if len(near) == 0 {
		return "; 'tiercel config keys' lists them"
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// settingsOf are the values of a configuration by their full names, and why some of them
// have no effect.
func settingsOf(answer json.RawMessage) (values map[string]any, idle map[string]string, err error) {
	var doc struct {
		WithoutEffect []struct {
			Key, Feature, Level string
			Current             string `json:"current_level"`
		} `json:"without_effect"`
	}
	if err := json.Unmarshal(answer, &doc); err != nil {
		return nil, nil, unreadableAnswer(err)
	}
	if values, err = flatten(answer); err != nil {
		return nil, nil, err
	}
	delete(values, "without_effect") // no setting
	idle = make(map[string]string)
	for _, w := range doc.WithoutEffect {
		idle[w.Key] = fmt.Sprintf("%s needs the licence level %s, and this cluster has %s", license.Feature(w.Feature).Title(), w.Level, w.Current)
	}
	return values, idle, nil
}

func (a *app) printConfig(answer json.RawMessage) error {
	values, idle, err := settingsOf(answer)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := humanValue(key, values[key])
		if why := idle[key]; why != "" {
			value += " (no effect: " + why + ")"
		}
		fmt.Fprintf(t, "%s\t%s\n", key, value)
	}
	return t.Flush()
}

// flatten names each value of a document by its path: placement.weights.latency.
// Numbers stay as they were written.
func flatten(doc json.RawMessage) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return nil, unreadableAnswer(err)
	}
	out := map[string]any{}
	var walk func(prefix string, branch map[string]any)
	walk = func(prefix string, branch map[string]any) {
		for name, value := range branch {
			if below, ok := value.(map[string]any); ok {
				walk(prefix+name+".", below)
			} else {
				out[prefix+name] = value
			}
		}
	}
	walk("", tree)
	return out, nil
}

func isRate(key string) bool { return strings.HasSuffix(key, "_bytes_per_second") }
func isSize(key string) bool { return strings.HasSuffix(key, "_bytes") }

func humanValue(key string, value any) string {
	n, isNumber := value.(json.Number)
	bytes, err := n.Int64()
	switch {
	case !isNumber || err != nil:
	case isRate(key) && bytes == 0 && strings.HasPrefix(key, "scrub"):
		return "0 (no scrub by itself)"
	case isRate(key) && bytes == 0:
		return "0 (no limit)"
	case isRate(key):
		return config.FormatBytes(bytes) + "/s"
	case isSize(key):
		return config.FormatBytes(bytes)
	}
	return fmt.Sprint(value)
}
