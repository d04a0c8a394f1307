// Command quickstart stores a file, reads a part of it back, and changes it only if
// nobody else did. Start a node with `make run`, then: go run ./examples/quickstart
package main
