package master

import "tiercel/messages"

const (
	// wordsOverlap words in a row tell of the same change, so that one that is lost
	// does no harm.
	wordsOverlap = 3
	// maxWordPeers bounds the peers of one word. With more to tell, members are left
	// to tell each other: a word goes to every node twice a second.
	maxWordPeers = 200
	// maxHints bounds the peers, beside those that hold the log, that a newcomer is told.
	maxHints = 32
)

// peerOf is where a worker is, as its row has it.
func peerOf(node string, row *messages.WorkerRow) *messages.Peer {
	return &messages.Peer{Node: node, Address: row.Address, Incarnation: row.Incarnation, RaftId: row.RaftId, ChangedAt: max(row.ChangedAt, row.RegisteredAt)}
}

// enroll takes over from the rows who is where.
func (c *Coordinator) enroll() {
	for i, node := range c.nodes {
		switch row := c.rows[i]; {
		case row.State == messages.WorkerState_LEFT:
			c.roster.Drop(node)
		case !c.roster.Knows(node, max(row.ChangedAt, row.RegisteredAt)):
			c.roster.Put(peerOf(node, row))
		}
	}
}
