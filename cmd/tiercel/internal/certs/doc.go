// Package certs makes and loads the certificates of a cluster: an authority of its own,
// a certificate for each node, and the TLS settings that stand on them.
//
// A node's certificate carries the mark NodeURI beside its names. Between nodes both ends
// verify that the other holds a certificate of the authority *with* the mark: whoever can
// speak to the rpc port can command a node, so a certificate that the same authority gave
// to something else must not be enough.
//
// Files that change are read again without a restart; what cannot be used is refused, and
// what was in force stays. Making refuses to overwrite, and keys are readable by their
// owner only.
//
// Read first: make.go, load.go.
package certs
