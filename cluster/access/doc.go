// Package access owns what a bearer token is: its form, the hash that is kept of it, who
// it makes of its bearer, and until when. It holds no secret: a table of tokens is made
// of hashes, and a secret is seen only while it is compared.
//
// It refuses entries that are not clear about who, what, whose and until when, and it
// refuses all of a table rather than part of it: an operator must not believe that a
// token works, or is gone, when it is not.
//
// A secret is 256 random bits, so an unsalted SHA-256 is enough to keep it: there is
// nothing to guess that a slow hash would protect.
//
// Read first: secret.go, table.go. What a role may do is in cluster/model/access.go,
// which role a request needs in httpapi/access.go.
package access
