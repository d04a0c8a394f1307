// Package planted proves that the tests can fail. A planted bug is a small text
// file in testdata: an edit that breaks one rule of DESIGN, and the name of the
// test that must catch it. `go test ./internal/planted -run TestPlantedBugsAreCaught`
// builds that test with the edit laid over the source (the checkout is never
// touched) and requires it to fail; without the edit it must pass.
//
// The format, by example:
//
//	what: CheckPath takes ".." segments
//	rule: API.md "Paths"
//	package: ./cluster/model
//	run: TestCheckPath_
//	env: TIERCEL_SEEDS=200 TIERCEL_SEED=1
//	expect: segment
//	timeout: 2m
//
//	--- file cluster/model/limits.go
//	--- old
//			case ".", "..":
//	--- new
//			case ".":
//	--- end
//
// Header: what, rule, package (one) and run (a -run pattern) are required; env
// (space-separated), expect (a regular expression that the failing output must
// match, so that the right checker is the one that catches it) and timeout (of
// one run of the test, default 2m) are not. Then one or more edits; old and new are whole lines,
// white space included, old must occur exactly once, and new may be empty.
//
// What does not count as caught: an edit whose old text is not found (planted
// bugs stay in step with the code), a mutant that does not compile, a pattern
// that runs no test, a test that fails without the edit, a test that was killed, and
// one that merely ran out of time (unless expect asks for that).
//
// Read first: bug.go (the format), harness.go (one trial).
package planted
