package tidy

import (
	"slices"
	"strings"
)

// exception lets the files under a path break some rules, for a reason.
type exception struct {
	path   string // a file, or a directory and all below it
	rules  []string
	reason string
}

// exceptions is the only place where a rule is relaxed.
var exceptions = []exception{
	{
		"actors/runtime/live", []string{"clock", "random", "lock", "file", "network", "goroutine", "future"},
		"one side of the seam: it is what gives actors the real clock, threads, disk and network",
	},
	{
		"actors/runtime/discovery", []string{"clock", "random", "lock", "network", "goroutine"},
		"it talks to etcd, Consul and Kubernetes by their own clients, and tells actors what it found in a message",
	},
	{
		"actors/runtime/sim", []string{"random", "lock"},
		"the other side of the seam: it replaces the process's random source and guards what protoactor reads from outside",
	},
	{
		"actors/runtime/root.go", []string{"lock"},
		"supervision at the root is told of failures on the goroutines of the actors that failed",
	},
	{
		"actors/runtime/internal/conformance", []string{"lock"},
		"test code that runs on both sides of the seam, on real threads on the live one",
	},
	{
		"actors/edge", []string{"clock", "lock", "goroutine", "future"},
		"the blocking facade through which code that is no actor talks to actors; no actor may import it",
	},
}

// excepted reports whether the table allows v.
func excepted(table []exception, v Violation) bool {
	for _, e := range table {
		if under(v.Path, e.path) && slices.Contains(e.rules, v.Rule) {
			return true
		}
	}
	return false
}

// staleExceptions reports entries for paths that are gone, without a reason, or
// for rules that do not exist.
func staleExceptions(t *Tree, table []exception) []Violation {
	var found []Violation
	for _, e := range table {
		if !slices.ContainsFunc(t.files, func(f *file) bool { return under(f.path, e.path) }) {
			found = append(found, Violation{e.path, 1, "exception", "no such path; remove it from internal/tidy/exceptions.go"})
		}
		if len(strings.Fields(e.reason)) < 4 {
			found = append(found, Violation{e.path, 1, "exception", "give the reason in a sentence"})
		}
		for _, name := range e.rules {
			if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == name }) {
				found = append(found, Violation{e.path, 1, "exception", "there is no rule " + name})
			}
		}
	}
	return found
}
