// Package controller measures what thousands of workers cost the master's node: the
// real tree of actors (actors.Start) on five simulated nodes, and around them N
// workers that are nothing but their messages, sent through the same simulated
// network as the same protobuf messages that a real worker sends.
//
// It owns the simulated workers, the meter and the phases of a run. Virtual time and
// all chance come from the seed; processor time is that of this thread, taken
// around each turn of the master node's actors and nowhere else, so that neither the
// workers nor the simulator are in the figures.
//
// What a turn includes: decoding the message that came, the actor's work, encoding
// what it sends and handing that to the simulated network. The baseline is a turn
// of an actor that decodes a heartbeat and answers it, and does nothing else.
//
// Read first: run.go (the phases), worker.go (what a simulated worker says).
package controller
