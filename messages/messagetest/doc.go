// Package messagetest makes messages with values at the edges, for tests of who
// receives them. A field that is added to a message is in it without a change here.
// It is for tests only. Read Fill first.
package messagetest
