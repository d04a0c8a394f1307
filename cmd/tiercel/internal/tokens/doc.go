// Package tokens is the file of bearer tokens: YAML, read strictly, with a hash in place
// of each secret.
//
//	tokens:
//	  - name: trainer            # goes into logs and the audit log
//	    role: read-write         # read-only, read-write or admin
//	    tenant: acme             # or: cluster: true
//	    expires: 2027-01-01T00:00:00Z   # or a day, or left out
//	    sha256: 9f86d081…        # of the secret; made by 'tiercel token create'
//
// A file is taken whole or not at all, and every problem in it is told at once. One that
// anybody on the machine could write is refused: it would let them in. When it is changed
// while a server runs, a bad file leaves the tokens that were read before in force.
//
// Read first: file.go, edit.go (changes by 'tiercel token'), live.go. What a token is,
// and who it makes of its bearer, is in cluster/access.
package tokens
