package tidy

import (
	"fmt"
	"sort"
)

// Violation is one place that breaks a rule.
type Violation struct {
	Path string // relative to the root
	Line int    // 1 for what concerns the whole file
	Rule string // name in the table of rules
	Text string // what is wrong and what to do instead
}

// String renders a violation so that an editor can jump to it.
func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", v.Path, v.Line, v.Rule, v.Text)
}

// rule is one thing the house insists on.
type rule struct {
	name  string
	check func(t *Tree) []Violation
}

// rules lists all of them. A name is what exceptions and reports call it by.
var rules = []rule{
	{"imports", checkImports},
	{"catalog-store", checkCatalogUsesOnlyTheIndex},
	{"clock", forbid("clock")},
	{"random", forbid("random")},
	{"lock", forbid("lock")},
	{"file", forbid("file")},
	{"network", forbid("network")},
	{"goroutine", checkGoStatements},
	{"future", checkFutures},
	{"map-order", checkMapOrder},
	{"print", checkPrints},
	{"file-length", checkFileLengths},
	{"function-length", checkFunctionLengths},
	{"doc", checkDocs},
	{"marker", checkMarkers},
	{"skip", checkSkips},
	{"sleep", checkSleeps},
}

// Check applies every rule to the tree, less the exceptions, and reports what
// remains in order of place. It also reports exceptions that nothing uses.
func Check(t *Tree) []Violation {
	return check(t, exceptions)
}

func check(t *Tree, table []exception) []Violation {
	var found []Violation
	for _, r := range rules {
		for _, v := range r.check(t) {
			if v.Rule = r.name; !excepted(table, v) {
				found = append(found, v)
			}
		}
	}
	found = append(found, staleExceptions(t, table)...)
	sort.Slice(found, func(i, j int) bool {
		a, b := found[i], found[j]
		if a.Path != b.Path {
			return a.Path < b.Path
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Rule < b.Rule
	})
	return found
}
