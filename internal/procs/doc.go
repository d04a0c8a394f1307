// Package procs runs clusters of real server processes on loopback, for drills
// and benchmarks: it builds the binary, starts, kills, pauses and restarts nodes,
// finds the master, and keeps a load of writers that know what was acknowledged.
//
// It owns the processes it started and ends no other. It is not part of the server.
//
// Read first: cluster.go, then load.go.
package procs
