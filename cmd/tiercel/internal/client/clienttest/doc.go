// Package clienttest is a small server of Tiercel's file API for tests of the
// command line: files in a map, real paging, conditions, ranges, checksums and
// idempotency keys, and faults by request. It owns nothing real and is no
// reference for the server; httpapi is.
//
// Read first: server.go.
package clienttest
