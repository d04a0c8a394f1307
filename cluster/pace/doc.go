// Package pace says when background bytes may flow: a token bucket, pure, with the
// time passed in, whose rate changes at any time; how large the pieces are; and how
// much of a rate is left while users keep the disk busy.
//
// It owns no clock, timer or queue: whoever takes waits as long as it is told. The
// same bucket limits a node (actors/worker) and the cluster (the foreman).
//
// Invariant: what is granted within any time T is at most rate×T plus the larger of
// the burst and one taking.
//
// Read first: bucket.go.
package pace
