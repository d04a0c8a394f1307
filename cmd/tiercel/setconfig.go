package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tiercel/actors"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/httpapi"
)

func (a *app) setConfigCommand() *command {
	var (
		r       remote
		version uint64
	)
	cmd := &command{
		Use:   "set KEY=VALUE…",
		Short: "Change the configuration",
		Long: `Changes all the keys together or none: every problem is listed at once. Sizes and rates
may be written as 64MiB and 50MiB/s, and the word default takes a key back to what a new
cluster begins with. 'tiercel config keys' lists the keys, what they mean, and their defaults.
What the licence of the cluster lacks is refused where it is named, even if it is set already.

It is refused when somebody else changes the configuration at the same moment. --if-version
refuses it, too, when somebody has since 'tiercel config show' printed that version, which is
the index in the log of the last change.`,
		Example: `  tiercel config set scrub_bytes_per_second=20MiB/s
  tiercel config set placement.weights.io_load=0.1 placement.weights.latency=0.2
  tiercel config set disk.warn_used_share=default
  tiercel config set --if-version 1234 rebalance.automatic=false`,
		Args: wantArgs(1, -1, "at least one KEY=VALUE"),

		ValidArgsFunction: completeConfigKeys("="),
		RunE: func(c *command, args []string) error {
			const hint = "'tiercel config keys' lists the keys; see 'tiercel config set --help'."
			patch, err := patchOf(args)
			if err != nil {
				return &usageError{err: err, hint: hint}
			}
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) {
				if !c.Flags().Changed("if-version") {
					if version, err = configVersion(c, conn); err != nil {
						return nil, err
					}
				}
				return conn.SetConfig(c.Context(), version, patch)
			})
			if model.CodeOf(err) == model.CodeInvalidArgument {
				return &usageError{err: fmt.Errorf("%s", client.Message(err)), hint: hint}
			}
			if err != nil || r.output == "json" {
				return a.orJSON(answer, err)
			}
			return a.printConfig(answer)
		},
	}
	r.addTo(cmd.Flags())
	cmd.Flags().Uint64Var(&version, "if-version", 0, "only if the configuration is still at version `N`")
	return cmd
}

// configVersion is the version that the configuration has now; 0: there is none yet.
func configVersion(c *command, conn *client.Client) (uint64, error) {
	now, err := conn.Config(c.Context())
	if model.CodeOf(err) == model.CodeNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var doc struct{ Version uint64 }
	if err := json.Unmarshal(now, &doc); err != nil {
		return 0, unreadableAnswer(err)
	}
	return doc.Version, nil
}

// patchOf makes a JSON merge patch of KEY=VALUE arguments. The error tells all that is
// wrong with them. A key that is not known here is for the server to judge, which may be
// newer, unless there is something else that keeps it from being asked.
func patchOf(args []string) (map[string]any, error) {
	patch, given := map[string]any{}, map[string]bool{}
	var problems, unknown []string
	known := configFields()
	for _, arg := range args {
		key, text, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			problems = append(problems, fmt.Sprintf("%q is not KEY=VALUE", arg))
			continue
		}
		if given[key] {
			problems = append(problems, key+" is given twice")
			continue
		}
		given[key] = true
		at := slices.IndexFunc(known, func(f httpapi.ConfigField) bool { return f.Key == key })
		if at < 0 && key != "version" {
			unknown = append(unknown, fmt.Sprintf("there is no key %q%s", key, nearSettings(key, configKeys(known))))
		}
		value, err := any(text), error(nil)
		switch {
		case key == "version":
			err = fmt.Errorf("version is counted by the cluster; --if-version says which one is meant")
		case at >= 0 && text == "default":
			value = known[at].Default
		case at >= 0:
			value, err = settingValue(known[at], text)
		default:
			value = anyValue(text)
		}
		if err == nil {
			err = lay(patch, key, value)
		}
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	if len(problems) == 0 {
		return patch, nil
	}
	if problems = append(problems, unknown...); len(problems) > 1 {
		return nil, fmt.Errorf("%d problems, nothing was changed: %s", len(problems), strings.Join(problems, "; "))
	}
	return nil, fmt.Errorf("%s", problems[0])
}

// lay sets the leaf that key names in a tree of objects.
func lay(patch map[string]any, key string, value any) error {
	at, names := patch, strings.Split(key, ".")
	for _, name := range names[:len(names)-1] {
		below, ok := at[name].(map[string]any)
		if !ok {
			if at[name] != nil {
				return fmt.Errorf("%s and a key above it cannot both be set", key)
			}
			below = map[string]any{}
			at[name] = below
		}
		at = below
	}
	leaf := names[len(names)-1]
	if at[leaf] != nil {
		return fmt.Errorf("%s and a key below it cannot both be set", key)
	}
	at[leaf] = value
	return nil
}

// settingValue reads a value of the kind that the key wants; how it fits the others the
// server judges.
func settingValue(f httpapi.ConfigField, text string) (any, error) {
	switch f.Kind {
	case httpapi.KindFlag:
		if text != "true" && text != "false" {
			return nil, fmt.Errorf("%s: %q is neither true nor false", f.Key, text)
		}
		return text == "true", nil
	case httpapi.KindShare:
		n, isNumber := anyValue(text).(json.Number)
		if share, err := n.Float64(); !isNumber || err != nil || share < 0 || share > 1 {
			return nil, fmt.Errorf("%s: %q is not a number from 0 to 1", f.Key, text)
		}
		return n, nil
	}
	read := config.ParseBytes
	if isRate(f.Key) {
		read = config.ParseRate
	}
	n, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Key, err)
	}
	return n, nil
}

// anyValue is a text as the JSON value that it looks like.
func anyValue(text string) any {
	if text == "true" || text == "false" {
		return text == "true"
	}
	var n json.Number
	if json.Unmarshal([]byte(text), &n) == nil && !strings.HasPrefix(text, `"`) {
		return n
	}
	return text
}

// configFields are the keys that this binary knows.
func configFields() []httpapi.ConfigField { return httpapi.ConfigFields(actors.DefaultSettings()) }

func configKeys(fields []httpapi.ConfigField) (keys []string) {
	for _, f := range fields {
		keys = append(keys, f.Key)
	}
	return keys
}

// defaultOf is a default as a person reads it, in the form that can be set.
func defaultOf(f httpapi.ConfigField) string {
	if n, ok := f.Default.(uint64); ok {
		return humanValue(f.Key, json.Number(fmt.Sprint(n)))
	}
	return fmt.Sprint(f.Default)
}
