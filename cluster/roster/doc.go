// Package roster knows where the nodes of a cluster are, in the order in which the
// log learned it, so that whoever missed something can be told just that: with ten
// thousand nodes the whole list is a megabyte, and nobody can send that to everybody
// twice a second.
//
// It refuses what is older than what it has. It is pure. Its invariant: After(x, n)
// names every peer whose newest change came after x, up to the index it returns.
// Versions are log indexes, no two nodes change at one, so that they mean the same to every master of one
// generation. It imports messages. Read roster.go.
package roster
