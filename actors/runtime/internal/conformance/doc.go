// Package conformance is the one set of scenarios that every runtime passes: what
// an actor may rely on, live or simulated.
package conformance
