package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"tiercel/cluster/model"
)

// problems collects all that is wrong with a document, so that it is told at once.
type problems struct {
	list []problem
}

type problem struct{ key, text string }

// maxProblems are told; a document that has more is no honest mistake.
const maxProblems = 20

func (p *problems) add(key, format string, args ...any) {
	p.list = append(p.list, problem{clip(key), fmt.Sprintf(format, args...)})
}

// has reports whether one with a key was found.
func (p *problems) has(key string) bool {
	return slices.ContainsFunc(p.list, func(q problem) bool { return q.key == key })
}

// err is nil when there are none; details name each field.
func (p *problems) err(op string) error {
	if len(p.list) == 0 {
		return nil
	}
	told := p.list[:min(len(p.list), maxProblems)]
	texts := make([]string, 0, len(told))
	for _, q := range told {
		texts = append(texts, q.key+": "+q.text)
	}
	text := strings.Join(texts, "; ")
	if len(p.list) > 1 {
		text = fmt.Sprintf("%d problems, nothing was changed: %s", len(p.list), text)
	}
	e := model.Errorf(model.CodeInvalidArgument, op, "%s", text)
	for _, q := range told {
		if old := e.Details[q.key]; old != "" {
			q.text = old + "; " + q.text
		}
		_ = e.With(q.key, q.text)
	}
	return e
}

// tree is a decoded JSON object: strings, json.Number, bools, nil, trees and lists.
type tree map[string]any

func (t tree) keys() []string { return slices.Sorted(maps.Keys(t)) }

// whole reads a number from least to most; null is 0, the default.
func (p *problems) whole(key string, value any, least, most uint64) uint64 {
	if value == nil {
		return 0
	}
	if n, ok := value.(json.Number); ok {
		if v, err := strconv.ParseUint(string(n), 10, 64); err == nil && least <= v && v <= most {
			return v
		}
	}
	if most == math.MaxInt64 {
		p.add(key, "must be a whole number, %d or more, not %s", least, shown(value))
	} else {
		p.add(key, "must be a whole number from %d to %d, not %s", least, most, shown(value))
	}
	return 0
}

// share reads a number from 0 to 1.
func (p *problems) share(key string, value any) float64 {
	if n, ok := value.(json.Number); ok {
		if v, err := strconv.ParseFloat(string(n), 64); err == nil && v >= 0 && v <= 1 {
			return v
		}
	}
	p.add(key, "must be a number from 0 to 1, not %s", shown(value))
	return 0
}

func (p *problems) flag(key string, value any) bool {
	v, ok := value.(bool)
	if !ok {
		p.add(key, "must be true or false, not %s", shown(value))
	}
	return v
}

// oneOf reads one of some words; null is "", the default.
func (p *problems) oneOf(key string, value any, words []string) string {
	if value == nil {
		return ""
	}
	if v, ok := value.(string); ok && contains(words, v) {
		return v
	}
	p.add(key, "must be one of %s, not %s", strings.Join(words, ", "), shown(value))
	return ""
}

// patterns reads a list of distinct strings; null is none.
func (p *problems) patterns(key string, value any, check func(string) string) []string {
	list, ok := value.([]any)
	if value != nil && !ok {
		p.add(key, "must be a list of strings, not %s", shown(value))
	}
	var out []string
	for _, item := range list {
		text, ok := item.(string)
		if !ok {
			p.add(key, "must hold strings only, not %s", shown(item))
			continue
		}
		if wrong := check(text); wrong != "" {
			p.add(key, "%q: %s", clip(text), wrong)
			continue
		}
		if contains(out, text) {
			p.add(key, "%q is given twice", clip(text))
			continue
		}
		out = append(out, text)
	}
	return out
}

// shown is a value as a message quotes it.
func shown(value any) string {
	switch v := value.(type) {
	case tree:
		return "an object"
	case []any:
		return "a list"
	case string:
		return strconv.Quote(clip(v))
	case json.Number:
		return clip(string(v))
	case nil:
		return "null"
	}
	return fmt.Sprint(value)
}
