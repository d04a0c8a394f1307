package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Effective is one setting as a node would run with it.
type Effective struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"` // --name, TIERCEL_NAME, the path of the file, or default
}

// Explain lists every setting with its value and where that comes from, in the
// order of the flags. What Load would refuse is in the error, all of it.
func Explain(flags *pflag.FlagSet, environ []string) ([]Effective, error) {
	if _, err := Load(flags, environ); err != nil {
		return nil, err
	}
	layers := loadLayers(flags, environ)
	out := make([]Effective, 0, len(settings))
	for _, set := range settings {
		value, where := set.find(layers)
		out = append(out, Effective{set.name, value, where})
	}
	return out, nil
}

// loadLayers reads every source, the strongest first; what is wrong with them Load tells.
func loadLayers(flags *pflag.FlagSet, environ []string) []layer {
	fromFlags, _ := loadFlags(flags)
	fromEnviron, _ := loadEnviron(environ)
	path := fromEnviron.values.String(configFlag)
	if given := fromFlags.values.String(configFlag); given != "" {
		path = given
	}
	fromFile, _ := loadFile(path)
	return []layer{fromFlags, fromEnviron, fromFile}
}

// loadFlags takes the flags that were given: the defaults are the lowest layer, not this one.
func loadFlags(flags *pflag.FlagSet) (layer, Problems) {
	l := layer{koanf.New("."), func(key string) string { return "--" + key }}
	onlyGiven := posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		if !f.Changed {
			return "", nil
		}
		return f.Name, f.Value.String()
	})
	if err := l.values.Load(onlyGiven, nil); err != nil {
		return l, Problems{err}
	}
	return l, nil
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

// WithFlagError is everything wrong with a command line on which parsing of the
// flags has failed with err: the rest is not kept back for the next attempt.
func WithFlagError(err error, flags *pflag.FlagSet, environ []string) error {
	_, more := Load(flags, environ)
	var others Problems
	if !errors.As(more, &others) {
		return err
	}
	return append(Problems{err}, others...)
}

// UnknownVariables are those of environ that look like a slip in the name of a
// variable of the client verbs. Others may be meant for something else.
func UnknownVariables(environ []string) error {
	verbs := make([]string, 0, len(verbVariables))
	for name := range verbVariables {
		verbs = append(verbs, name)
	}
	slices.Sort(verbs)
	var problems Problems
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		bare, ours := strings.CutPrefix(name, EnvPrefix)
		key := strings.ReplaceAll(strings.ToLower(bare), "_", "-")
		known := verbVariables[key] && name == EnvName(key) || slices.Contains(names(), key) || key == configFlag
		if !ours || known || isServiceLink(name, value) {
			continue
		}
		if hint := suggest(key, verbs, EnvName); hint != "" {
			problems = append(problems, fmt.Errorf("environment: unknown variable %s%s", name, hint))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}
