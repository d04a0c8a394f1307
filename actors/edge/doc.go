// Package edge is the blocking face of a node for code that is not an actor: HTTP
// handlers, the benchmark, embedding programs. It reads bodies in bounded pieces,
// asks the gateway, and reads verified bytes from volumes.
//
// It owns the memory credit for bodies: all bodies together never hold more than
// the credit, whatever lengths clients declare. It may block and start goroutines;
// no actor may import it.
//
// Read first: client.go, put.go, credit.go.
package edge
