// Package serve wires one node together and runs it until its context ends: data
// directory, runtime, actors, edge, HTTP. It decides nothing; every setting comes
// checked from package config.
package serve
