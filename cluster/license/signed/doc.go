// Package signed is the text form of a licence: a few lines that a person can read, the
// last of which is an Ed25519 signature (RFC 8032) over all before it.
//
// It owns the format, its limits, and who is believed: a program that was built with a
// release key believes that key alone; one that was built without believes the development
// key alone, whose private half stands in this package, so that everybody can try every
// level. It refuses with a reason of its own for each thing that can be wrong (errors.go).
//
// Invariants: what Verify returns was signed by a key that this program believes; a text
// has exactly one form, so what was signed is what is read; a broken release key never
// falls back to the development key.
//
// The catalog cannot import it: licences are verified when they are proposed, never in
// apply. Imports cluster/license for the levels. Read first: text.go, verify.go.
package signed
