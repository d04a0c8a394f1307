package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// EnvPrefix begins the name of every environment variable that Tiercel reads.
const EnvPrefix = "TIERCEL_"

// configFlag names the YAML file; it cannot itself be in the file.
const configFlag = "config"

// maxFileBytes bounds the YAML file: settings are few and short.
const maxFileBytes = 1 << 20

// verbVariables belong to the client verbs and may well be set in the same shell.
var verbVariables = map[string]bool{"server": true, "tenant": true, "output": true, "token": true}

// Problems is everything wrong with a configuration, in a stable order.
type Problems []error

// Error lists the problems one a line.
func (p Problems) Error() string {
	if len(p) == 1 {
		return p[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems in the configuration:", len(p))
	for _, err := range p {
		b.WriteString("\n  - " + err.Error())
	}
	return b.String()
}

// AddFlags adds one flag for each setting, and --config.
func AddFlags(flags *pflag.FlagSet) {
	for _, s := range settings {
		if s.boolean {
			flags.Bool(s.name, s.value == "true", s.usage)
		} else {
			flags.String(s.name, s.value, s.usage)
		}
	}
	flags.String(configFlag, "", "YAML `FILE` with any of these settings by the same names")
}

// A layer is one place that settings come from.
type layer struct {
	values *koanf.Koanf
	// source says where key was set, for messages.
	source func(key string) string
}

// Load merges flags, environ (as of os.Environ) and the file named by --config
// or TIERCEL_CONFIG, and checks the whole. The error is Problems; the settings beside it
// are those that could be read, for whoever has more to check.
func Load(flags *pflag.FlagSet, environ []string) (Server, error) {
	layers, problems := loadLayers(flags, environ)
	var s Server
	problems = append(problems, parseAll(&s, layers)...)
	problems = append(problems, checkAddresses(&s)...)
	problems = append(problems, checkAccess(&s)...)
	problems = append(problems, checkDiscovery(&s)...)
	if len(problems) > 0 {
		return s, problems
	}
	return s, nil
}

// loadLayers reads every source, the strongest first.
func loadLayers(flags *pflag.FlagSet, environ []string) ([]layer, Problems) {
	var problems Problems
	flagLayer := layer{koanf.New("."), func(key string) string { return "--" + key }}
	// Only flags that were given: the defaults are the lowest layer, not this one.
	onlyGiven := posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		if !f.Changed {
			return "", nil
		}
		return f.Name, f.Value.String()
	})
	if err := flagLayer.values.Load(onlyGiven, nil); err != nil {
		problems = append(problems, err)
	}
	envLayer, found := loadEnviron(environ)
	problems = append(problems, found...)

	path := envLayer.values.String(configFlag)
	if given := flagLayer.values.String(configFlag); given != "" {
		path = given
	}
	fileLayer, found := loadFile(path)
	return []layer{flagLayer, envLayer, fileLayer}, append(problems, found...)
}

// find is the text of a setting by the first layer that has one, and where that is.
func (set *setting) find(layers []layer) (value, where string) {
	for _, l := range layers {
		if l.values.Exists(set.name) {
			return l.values.String(set.name), l.source(set.name)
		}
	}
	return set.value, "default"
}

// parseAll gives each setting the value of the first layer that has one.
func parseAll(s *Server, layers []layer) Problems {
	var problems Problems
	for _, set := range settings {
		value, where := set.find(layers)
		if err := set.parse(s, value); err != nil {
			problems = append(problems, fmt.Errorf("%s (%s): %w", set.name, where, err))
		}
	}
	return problems
}

// EnvName is the environment variable of a flag.
func EnvName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

func loadEnviron(environ []string) (layer, Problems) {
	l := layer{koanf.New("."), EnvName}
	known := map[string]bool{configFlag: true}
	for _, n := range names() {
		known[n] = true
	}
	var problems Problems
	provider := env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, EnvPrefix)), "_", "-")
			if known[key] && name == EnvName(key) {
				return key, value
			}
			if !verbVariables[key] && !isServiceLink(name, value) {
				problems = append(problems, fmt.Errorf("environment: unknown variable %s%s", name,
					suggest(key, names(), EnvName)))
			}
			return "", nil
		},
	})
	if err := l.values.Load(provider, nil); err != nil {
		problems = append(problems, fmt.Errorf("environment: %w", err))
	}
	sort.Slice(problems, func(i, j int) bool { return problems[i].Error() < problems[j].Error() })
	return l, problems
}

// serviceLink matches the variables that Kubernetes sets in every pod for a
// service whose name begins with tiercel (and the plain …_PORT=tcp://…, by its
// value): nobody wrote them, so they are no mistake of the operator's.
var serviceLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT_[0-9]+_(TCP|UDP|SCTP)(_|$)`)

func isServiceLink(name, value string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

func loadFile(path string) (layer, Problems) {
	l := layer{koanf.New("."), func(string) string { return path }}
	if path == "" {
		return l, nil
	}
	if err := checkFile(path); err != nil {
		return l, Problems{fmt.Errorf("config: %w", err)}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return l, Problems{fmt.Errorf("config: %w", err)}
	}
	// Nodes, because a value is what the file says: 010 is no 8 in the name of a rack.
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return l, Problems{fmt.Errorf("config: %s cannot be read as YAML; each line must be \"key: value\": %w", path, err)}
	}
	if what := notSettings(doc); what != "" {
		return l, Problems{fmt.Errorf("config: %s is not a YAML map of settings but %s; write one setting a line, as in \"http: 127.0.0.1:8880\"", path, what)}
	}
	var content map[string]yaml.Node
	if err := doc.Decode(&content); err != nil {
		return l, Problems{fmt.Errorf("config: the settings of %s cannot be told apart; each must be \"key: value\", once: %w", path, err)}
	}
	var problems Problems
	keys := make([]string, 0, len(content))
	for key := range content {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		text, ok := scalar(content[key])
		switch {
		case !slices.Contains(names(), key):
			problems = append(problems, fmt.Errorf("%s: unknown key %q%s", path, key, suggest(key, names(), nil)))
		case !ok:
			problems = append(problems, fmt.Errorf("%s (%s): must be one plain value; a list is one text with commas, \"\" is none", key, path))
		default:
			if err := l.values.Set(key, text); err != nil {
				problems = append(problems, fmt.Errorf("%s (%s): %w", key, path, err))
			}
		}
	}
	return l, problems
}

// notSettings says what a document is that is no map; a file without any is one without
// settings.
func notSettings(doc yaml.Node) string {
	if len(doc.Content) == 0 {
		return ""
	}
	switch n := doc.Content[0]; {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null":
		return "one plain value"
	}
	return ""
}

func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no file %s", path)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxFileBytes:
		return fmt.Errorf("%s has %s; at most %s are read", path, FormatBytes(info.Size()), FormatBytes(maxFileBytes))
	}
	return nil
}

// scalar is the text of a YAML value, as a flag would have had it.
func scalar(n yaml.Node) (string, bool) {
	if n.Kind == yaml.AliasNode {
		n = *n.Alias
	}
	return n.Value, n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null"
}
