// Command ingest is an embedding service that stores vectors at a high rate: many keep-alive
// connections, one Idempotency-Key per vector so that a retry is harmless, and
// Retry-After honoured. With -batch 500 it sends 500 of them in one request, and repeats
// those that were refused. Start a node with `make run`, then: go run ./examples/ingest
package main
