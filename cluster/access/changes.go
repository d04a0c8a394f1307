package access

import (
	"fmt"
	"strings"
	"time"
)

// maxToldChanges bounds how many tokens of each sort Changes names.
const maxToldChanges = 20

// Changes is what a table of tokens has become, by names. It holds no hash.
type Changes struct{ Added, Revoked, Changed []string }

// ChangesBetween compares two tables; names are in the order of the newer one, those that
// are revoked in the order of the older. The older may be nil: everything was added.
func ChangesBetween(older, newer *Table) (c Changes) {
	before, now := map[string]*Entry{}, map[string]bool{}
	if older != nil {
		for i := range older.entries {
			before[older.entries[i].Name] = &older.entries[i]
		}
	}
	for i := range newer.entries {
		e := &newer.entries[i]
		now[e.Name] = true
		if old := before[e.Name]; old == nil {
			c.Added = append(c.Added, fmt.Sprintf("%s (%s)", e.Name, e.may()))
		} else if what := old.changed(e); what != "" {
			c.Changed = append(c.Changed, fmt.Sprintf("%s (%s)", e.Name, what))
		}
	}
	if older != nil {
		for i := range older.entries {
			if name := older.entries[i].Name; !now[name] {
				c.Revoked = append(c.Revoked, name)
			}
		}
	}
	return c
}

// None reports whether the tables let in the same.
func (c Changes) None() bool { return len(c.Added)+len(c.Revoked)+len(c.Changed) == 0 }

// String tells of the changes in one bounded line, for logs.
func (c Changes) String() string {
	if c.None() {
		return "the tokens are the same as before"
	}
	var parts []string
	for _, sort := range []struct {
		what  string
		names []string
	}{{"added", c.Added}, {"revoked", c.Revoked}, {"changed", c.Changed}} {
		names, more := sort.names, ""
		if len(names) > maxToldChanges {
			names, more = names[:maxToldChanges], fmt.Sprintf(" and %d more", len(names)-maxToldChanges)
		}
		if len(names) > 0 {
			parts = append(parts, sort.what+" "+strings.Join(names, ", ")+more)
		}
	}
	return strings.Join(parts, "; ")
}

// may is the role and the reach of a token.
func (e *Entry) may() string { return string(e.Role) + " of " + e.reach() }

func (e *Entry) reach() string {
	if e.Cluster {
		return "the cluster"
	}
	return "tenant " + e.Tenant
}

func (e *Entry) ends() string {
	if e.Expires.IsZero() {
		return "never"
	}
	return e.Expires.UTC().Format(time.RFC3339)
}

// changed says in what now differs from e; empty: in nothing.
func (e *Entry) changed(now *Entry) string {
	var out []string
	if e.Hash != now.Hash {
		out = append(out, "another token")
	}
	if e.may() != now.may() {
		out = append(out, fmt.Sprintf("%s, was %s", now.may(), e.may()))
	}
	if !e.Expires.Equal(now.Expires) {
		out = append(out, fmt.Sprintf("expires %s, was %s", now.ends(), e.ends()))
	}
	return strings.Join(out, "; ")
}
