// Package drill holds the tests that need real processes: it builds the binary,
// runs it, kills it, and looks at what is left. It has no code of its own.
package drill
