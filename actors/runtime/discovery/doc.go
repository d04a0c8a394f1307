// Package discovery finds the addresses of other nodes through etcd, Consul or
// Kubernetes, by protoactor's cluster providers. A node registers its rpc address
// under a name, and hears of those that did the same.
//
// It gives addresses, never truth: who belongs to the cluster, who lives and who is
// master is decided by the log and by the members themselves. So nothing of
// protoactor's cluster runs here but its provider: no gossip, no grains, no remote.
// When the service is down, nodes that know each other go on; only a newcomer waits.
//
// Invariants:
//   - Nothing here blocks a node's start, its work or, for more than a few seconds,
//     its end.
//   - A service that is down is asked at a bounded rate, and said so once a minute.
//
// Read first: discovery.go, carrier.go; one file for each service.
package discovery
