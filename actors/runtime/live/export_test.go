package live

// Kill takes the node off the network at once, as the end of its process would.
func (n *Node) Kill() { n.stopRemote() }

// MaxQueuedBytes and BatchMessages are limits that tests walk up to.
const (
	MaxQueuedBytes = maxQueuedBytes
	BatchMessages  = batchMessages
)
