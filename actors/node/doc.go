// Package node is the supervisor of one node: log, catalog, worker and gateway
// live as long as the node, the master tree as long as this node leads the log.
//
// It owns the life of its children and nothing else. It refuses to run two master
// trees at once: the tree of a new epoch starts after the old one has stopped.
package node
