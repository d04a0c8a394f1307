// Package client speaks Tiercel's HTTP API (API.md) for the command line.
//
// It owns: addressing and encoding, decoding of errors, retries, and checksums
// in both directions. It refuses to answer "done" for content whose checksum
// it could not confirm. Every call is bounded: a call without a body by
// Options.Timeout, a transfer by Timeout without a byte moving, and retries by
// Timeout after the first failure that made no progress.
//
// What is retried: 429, 502, 503, 504 and broken connections, with back-off
// and Retry-After, and only where a second attempt cannot apply twice: uploads
// carry an Idempotency-Key per file, deletes and reads repeat harmlessly, moves
// and copies are repeated only when the first attempt certainly did nothing.
// The first contact with a server is not retried when nobody listens there:
// that is a wrong address far more often than a restart.
//
// A server that refuses an upload may close before it has read the body: its answer is
// looked for before the failure to write is told (conn.go).
//
// Read first: client.go (one attempt), retry.go, put.go, get.go.
package client
