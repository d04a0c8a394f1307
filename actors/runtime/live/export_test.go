package live

// Kill takes the node off the network at once, as the end of its process would.
func (n *Node) Kill() { n.stopRemote() }

// LimitQueue sets how many bytes may wait for one peer, before anything is sent.
func (n *Node) LimitQueue(bytes int64) { n.queueLimit = bytes }

// BatchMessages is how many messages travel in one frame.
const BatchMessages = batchMessages
