// Package httpapi is the HTTP edge of a node: it translates requests into calls
// of a Gateway and answers back, and decides nothing. What is asked of data is
// judged by the log; what is asked of a request (is it well formed, is it small
// enough, does it arrive) is judged here, before a byte of it goes further.
//
// It owns the routes, the decoding of paths, headers, ranges and JSON, the one
// table from error code to status, the limits on clients, and the OpenAPI
// document. It imports messages and cluster/model, and no actor.
//
// Invariants:
//   - A path is taken from the raw request target and percent-decoded once.
//   - A body is streamed in both directions; memory does not grow with what is declared.
//   - A response that fails after its header was sent is cut, never made to look whole.
//   - Who calls, and whose data it is about, is settled before a handler runs (access.go).
//   - Every answer has X-Request-Id, every error has the JSON form of API.md.
//   - A connection whose framing is in doubt is answered once and closed.
//
// Read first: gateway.go (what is behind), routes.go (what is offered), call.go
// (one request from begin to end), conn.go (what a slow client may do).
package httpapi
