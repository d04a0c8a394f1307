// Package model is the vocabulary of Tiercel: the typed names every other
// package speaks in, the limits on what a client may say, and the one error
// type with its codes. It decides nothing and imports only the standard library.
//
// Read first: names.go (identities and sizes), errors.go (codes), limits.go
// (what is refused and why).
package model
