// Package node is the supervisor of one node: the member runs alone until the node
// may take part in its cluster, then log, catalog, worker and gateway live as long
// as the node, and the master tree as long as this node leads the log.
//
// It owns the life of its children and nothing else. It refuses to run two master
// trees at once: the tree of a new epoch starts after the old one has stopped.
package node
