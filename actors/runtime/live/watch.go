package live

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// watches are the actors here that want to hear of the end of actors elsewhere.
// Protoactor's own table loses a Watch that meets a connection's end.
type watches struct {
	mu        sync.Mutex
	byAddress map[string]map[watchKey]struct{}
}

// watchKey names a watch by the two paths.
type watchKey struct{ watcher, watchee string }

// watch registers a watch and asks the other node. When the connection is not
// there, or is lost meanwhile, the watcher hears at once.
func (n *Node) watch(watchee, watcher *actor.PID) {
	address, key := watchee.Address, watchKey{watcher.Id, watchee.Id}
	l := n.link(address)
	lost := l.lost.Load()
	n.watches.mu.Lock()
	if n.watches.byAddress == nil {
		n.watches.byAddress = make(map[string]map[watchKey]struct{})
	}
	if n.watches.byAddress[address] == nil {
		n.watches.byAddress[address] = make(map[watchKey]struct{})
	}
	n.watches.byAddress[address][key] = struct{}{}
	n.watches.mu.Unlock()
	if n.reach(watchee) == nil {
		n.endWatch(address, key)
		return
	}
	n.remote.SendMessage(watchee, nil, &actor.Watch{Watcher: watcher}, nil, protobufSerializer)
	if l.lost.Load() != lost {
		n.endWatch(address, key)
	}
}

// endWatches tells every watcher of an address that it is lost.
func (n *Node) endWatches(address string) {
	n.watches.mu.Lock()
	ended := n.watches.byAddress[address]
	delete(n.watches.byAddress, address)
	n.watches.mu.Unlock()
	for key := range ended {
		n.tell(key, &actor.Terminated{Who: actor.NewPID(address, key.watchee), Why: actor.TerminatedReason_AddressTerminated})
	}
}

// endWatch is the same for one, unless it has ended already.
func (n *Node) endWatch(address string, key watchKey) {
	if n.removeWatch(address, key) {
		n.tell(key, &actor.Terminated{Who: actor.NewPID(address, key.watchee), Why: actor.TerminatedReason_AddressTerminated})
	}
}

// watchAnswered is an actor's end, as its node reports it.
func (n *Node) watchAnswered(watcher string, m *actor.Terminated) {
	key := watchKey{watcher, m.Who.Id}
	if n.removeWatch(m.Who.Address, key) {
		n.tell(key, m)
	}
}

func (n *Node) removeWatch(address string, key watchKey) bool {
	n.watches.mu.Lock()
	defer n.watches.mu.Unlock()
	set := n.watches.byAddress[address]
	_, found := set[key]
	delete(set, key)
	if found && len(set) == 0 {
		delete(n.watches.byAddress, address)
	}
	return found
}

func (n *Node) tell(key watchKey, m *actor.Terminated) {
	if process, ok := n.system.ProcessRegistry.GetLocal(key.watcher); ok {
		process.SendSystemMessage(n.system.NewLocalPID(key.watcher), m)
	}
}
