package live

import "time"

// Kill takes the node off the network at once, as the end of its process would.
func (n *Node) Kill() { n.stopRemote() }

// LimitQueue sets how many bytes may wait for one peer, before anything is sent.
func (n *Node) LimitQueue(bytes int64) { n.queueLimit = bytes }

// BatchMessages is how many messages travel in one frame.
const BatchMessages = batchMessages

// BackOff keeps a link from being tried for d.
func (n *Node) BackOff(address string, d time.Duration) {
	n.link(address).retryAt.Store(time.Now().Add(d).UnixNano())
}

// BulkUp reports whether there is a bulk connection to an address.
func (n *Node) BulkUp(address string) bool { return n.bulkLane(address).up.Load() }

// NewMailbox is the mailbox of every actor.
var NewMailbox = newMailbox
