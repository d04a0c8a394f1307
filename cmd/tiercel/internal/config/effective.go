package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
	layers, _ := loadLayers(flags, environ) // Load has judged them
	out := make([]Effective, 0, len(settings))
	for _, set := range settings {
		value, where := set.find(layers)
		out = append(out, Effective{set.name, value, where})
	}
	return out, nil
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
