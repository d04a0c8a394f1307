package httpapi

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"tiercel/cluster/model"
)

// parameter is one decoded key and value of a query.
type parameter struct{ key, value string }

// parseQuery decodes a raw query. "+" is a space, as forms and most clients write it.
func parseQuery(raw []byte) ([]parameter, error) {
	var out []parameter
	for len(raw) > 0 {
		var pair []byte
		pair, raw, _ = bytes.Cut(raw, []byte("&"))
		if len(pair) == 0 {
			continue
		}
		k, v, _ := bytes.Cut(pair, []byte("="))
		key, ok1 := decodeParameter(k)
		value, ok2 := decodeParameter(v)
		if !ok1 || !ok2 {
			return nil, badQuery("the query parameter %q is not valid percent-encoded UTF-8", clip(string(pair)))
		}
		out = append(out, parameter{key, value})
	}
	return out, nil
}

func decodeParameter(raw []byte) (string, bool) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		b := raw[i]
		switch b {
		case '+':
			b = ' '
		case '%':
			var ok bool
			if b, ok = unescape(raw[i:]); !ok {
				return "", false
			}
			i += 2
		}
		out = append(out, b)
	}
	return string(out), utf8.Valid(out)
}

// strictQuery decodes a raw query and refuses what is not in known, naming the
// nearest that is, and what is given twice.
func strictQuery(raw []byte, known ...string) (map[string]string, error) {
	params, err := parseQuery(raw)
	if err != nil || len(params) == 0 {
		return nil, err
	}
	values := make(map[string]string, len(params))
	for _, p := range params {
		if !contains(known, p.key) {
			return nil, badQuery("unknown query parameter %q%s", clip(p.key), suggest(p.key, known))
		}
		if _, twice := values[p.key]; twice {
			return nil, badQuery("the query parameter %q is given twice", p.key)
		}
		values[p.key] = p.value
	}
	return values, nil
}

// hasFlag reports whether a query sets a parameter that needs no value:
// ?name, ?name=true or ?name=1.
func hasFlag(raw []byte, name string) (bool, error) {
	if len(raw) == 0 {
		return false, nil
	}
	params, err := parseQuery(raw)
	if err != nil {
		return false, err
	}
	for _, p := range params {
		if p.key != name {
			continue
		}
		switch p.value {
		case "", "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
		return false, badQuery("the query parameter %q takes true or false, not %q", name, clip(p.value))
	}
	return false, nil
}

// suggest ends a refusal of an unknown name: with the nearest known one if it is
// near, and with all of them otherwise.
func suggest(name string, known []string) string {
	if len(known) == 0 {
		return "; none are taken here"
	}
	best, least := "", 4
	for _, k := range known {
		if d := editDistance(strings.ToLower(clip(name)), k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	for _, k := range known { // scrub_bytes for scrub_bytes_per_second
		if best == "" && len(name) >= 4 && (strings.HasPrefix(k, name) || strings.HasSuffix(k, name)) {
			best = k
		}
	}
	if best != "" {
		return "; did you mean \"" + best + "\"?"
	}
	return "; known are " + strings.Join(known, ", ")
}

// editDistance counts the insertions, deletions and replacements between a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func contains(list []string, s string) bool {
	for _, k := range list {
		if k == s {
			return true
		}
	}
	return false
}

// clip shortens what a client sent so that a message can quote it.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

func badQuery(format string, args ...any) error {
	return model.Errorf(model.CodeInvalidArgument, "read query", format, args...)
}
