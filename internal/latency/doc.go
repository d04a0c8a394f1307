// Package latency counts how long things took, for what measures Tiercel from
// outside: bench/ and the verb `tiercel bench`. It keeps every sample in a
// histogram of constant memory, because p99.9 needs them all, and knows nothing
// of what was measured.
//
// Read first: latency.go.
package latency
