// Command simulation shows how to test an actor against the deterministic simulation: a
// counter that must survive power loss, a client that counts, a fault in the
// middle. The same seed always prints the same hash: go run ./examples/simulation
package main
