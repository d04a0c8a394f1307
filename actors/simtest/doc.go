// Package simtest runs whole clusters of Tiercel's actors in the deterministic
// simulation and checks the invariants of DESIGN section 7: clients with a history,
// faults drawn from the seed, one checker file for each invariant.
//
// One seed is one run: the same seed gives the same trace hash on every machine.
// A violation is reported with the one command that replays it.
//
// Read first: story.go (one run), faults.go, then the check_*.go files.
package simtest
