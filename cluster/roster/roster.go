package roster

import (
	"cmp"
	"slices"

	"tiercel/messages"
)

// Roster is the peers whose place the log knows, each once. The zero value is empty.
type Roster struct {
	peers []*messages.Peer // by ChangedAt, ascending; never changed in place
	at    map[string]uint64
}

// Put takes over a peer; false: it is known already, or it is hearsay. The peer must
// not be changed afterwards.
func (r *Roster) Put(p *messages.Peer) bool {
	known := r.at[p.GetNode()]
	if p.GetChangedAt() <= known {
		return false
	}
	r.Drop(p.Node)
	if r.at == nil {
		r.at = make(map[string]uint64)
	}
	r.at[p.Node] = p.ChangedAt
	r.peers = slices.Insert(r.peers, r.search(p.ChangedAt), p)
	return true
}

// Knows reports whether a change of a node has been taken over.
func (r *Roster) Knows(node string, changedAt uint64) bool { return r.at[node] >= changedAt }

// Drop forgets a node.
func (r *Roster) Drop(node string) {
	at, known := r.at[node]
	if !known {
		return
	}
	delete(r.at, node)
	r.peers = slices.Delete(r.peers, r.search(at-1), r.search(at))
}

// search is the number of peers that changed at an index or before.
func (r *Roster) search(at uint64) int {
	i, _ := slices.BinarySearchFunc(r.peers, at, func(p *messages.Peer, at uint64) int {
		if p.ChangedAt <= at {
			return -1
		}
		return cmp.Compare(p.ChangedAt, at)
	})
	return i
}

// Newest is the log index of the newest change, 0: none.
func (r *Roster) Newest() uint64 {
	if len(r.peers) == 0 {
		return 0
	}
	return r.peers[len(r.peers)-1].ChangedAt
}

// All is every peer, those that changed first come first. It is not to be changed,
// and holds until the next Put or Drop.
func (r *Roster) All() []*messages.Peer { return r.peers }

// After returns at most limit peers that changed after an index. Whoever knew all
// changes up to that index and takes these over knows all up to upTo.
func (r *Roster) After(index uint64, limit int) (peers []*messages.Peer, upTo uint64) {
	rest := r.peers[r.search(index):]
	if len(rest) > limit {
		rest = rest[:limit]
	}
	if len(rest) == 0 {
		return nil, index
	}
	return slices.Clone(rest), rest[len(rest)-1].ChangedAt
}
