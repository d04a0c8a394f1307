// Package health judges workers by their heartbeats (DESIGN "Worker health"):
// whole missed intervals, transitions at exactly 3, 5 and 10, hysteresis on the
// way back, grace for a new controller, and the storm brake.
//
// It refuses to count while its own clock stood still. It is pure: time comes in,
// transitions go out. It imports cluster/model and messages. Read tracker.go.
package health
