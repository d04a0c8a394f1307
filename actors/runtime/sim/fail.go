package sim

// failNow is a message on which the receiving actor fails, whatever it is doing:
// a bug anywhere in it, as its supervisor would see it.
type failNow struct{}

// Fail makes the actor at path panic on its next turn. Nothing happens when the
// node is down or has no such actor.
func (n *Node) Fail(path string) {
	if n.proc != nil {
		n.proc.system.Root.Send(n.proc.Local(path), failNow{})
	}
}
