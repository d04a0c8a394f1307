// Package dev runs a cluster of real server processes on loopback for one person:
// mixed disk types, racks and hosts of their own, short heartbeats.
//
// It owns the processes it started and ends them all when it ends. It refuses to
// guess ports: they are kept with the data, so that a restart is the same cluster.
//
// Read dev.go.
package dev
