// Package voters decides which nodes vote in the log and which follow it (DESIGN
// "Voters"): 1, 3 or 5 by the size of the cluster, the best disks first, replaced
// one for one, never fewer by themselves.
//
// It refuses to shrink the set under failures and to replace a voter for a better
// score. It is pure; it imports cluster/election for the order of candidates and
// messages. Read plan.go.
package voters
