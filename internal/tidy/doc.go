// Package tidy is the architecture test: `go test ./internal/tidy` parses every
// Go file of the module and reports, all at once, each place that breaks a rule
// of the house with file:line and what to do instead.
//
// It owns the import table of DESIGN section 6 (imports.go), what rule packages
// and actors may not do because a simulation could not repeat it (forbidden.go,
// maporder.go), and the limits on size and form (limits.go, form.go). It needs
// no build: packages that do not compile are still judged.
//
// It refuses an exception without a reason: all of them are in exceptions.go,
// and one whose path no longer exists is itself a violation. Every rule is
// tried by rules_test.go on a small source text that it must catch.
//
// Read first: rules.go, then exceptions.go.
package tidy
