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
	"tiercel/cluster/model"
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
is, 'config get' reads one value, 'config set' changes some.

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
		return "; \"tiercel config keys\" lists them"
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

func (a *app) setConfigCommand() *command {
	var r remote
	cmd := &command{
		Use:   "set KEY=VALUE…",
		Short: "Change the configuration",
		Long: `Changes all the keys together or none: every problem is listed at once. It is refused
when somebody else has changed the configuration in between. Sizes and rates may be
written as 64MiB and 50MiB/s. 'tiercel config keys' lists the keys and what they mean.
What the licence of the cluster lacks is refused where it is named, even if it is set already.`,
		Example: `  tiercel config set scrub_bytes_per_second=20MiB/s
  tiercel config set placement.weights.io_load=0.1 placement.weights.latency=0.2`,
		Args: wantArgs(1, -1, "at least one KEY=VALUE"),

		ValidArgsFunction: completeConfigKeys("="),
		RunE: func(c *command, args []string) error {
			patch, err := patchOf(args)
			if err != nil {
				return err
			}
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) {
				now, err := conn.Config(c.Context())
				if model.CodeOf(err) == model.CodeNotFound {
					now, err = json.RawMessage("{}"), nil // there is none yet
				}
				if err != nil {
					return nil, err
				}
				var doc struct{ Version uint64 }
				if err := json.Unmarshal(now, &doc); err != nil {
					return nil, unreadableAnswer(err)
				}
				return conn.SetConfig(c.Context(), doc.Version, patch)
			})
			if model.CodeOf(err) == model.CodeInvalidArgument {
				return &usageError{err: fmt.Errorf("%s", client.Message(err)), hint: "'tiercel config keys' lists the keys; see 'tiercel config set --help'."}
			}
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			return a.printConfig(answer)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// patchOf makes a JSON merge patch of KEY=VALUE arguments.
func patchOf(args []string) (map[string]any, error) {
	patch, given := map[string]any{}, map[string]bool{}
	for _, arg := range args {
		key, text, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, &usageError{err: fmt.Errorf("%q is not KEY=VALUE", arg)}
		}
		if given[key] {
			return nil, &usageError{err: fmt.Errorf("%s is given twice", key)}
		}
		given[key] = true
		value, err := settingValue(key, text)
		if err != nil {
			return nil, err
		}
		at, names := patch, strings.Split(key, ".")
		for _, name := range names[:len(names)-1] {
			below, ok := at[name].(map[string]any)
			if !ok {
				if at[name] != nil {
					return nil, &usageError{err: fmt.Errorf("%s and a key above it cannot both be set", key)}
				}
				below = map[string]any{}
				at[name] = below
			}
			at = below
		}
		leaf := names[len(names)-1]
		if at[leaf] != nil {
			return nil, &usageError{err: fmt.Errorf("%s and a key below it cannot both be set", key)}
		}
		at[leaf] = value
	}
	return patch, nil
}

// settingValue reads a value as the key wants it; what it means the server judges.
func settingValue(key, text string) (any, error) {
	switch {
	case isRate(key) || isSize(key):
		n, err := config.ParseBytes(strings.TrimSuffix(strings.TrimSpace(text), "/s"))
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("%s: %w", key, err)}
		}
		return n, nil
	case text == "true" || text == "false":
		return text == "true", nil
	}
	var n json.Number
	if json.Unmarshal([]byte(text), &n) == nil && !strings.HasPrefix(text, `"`) {
		return n, nil
	}
	return text, nil
}
