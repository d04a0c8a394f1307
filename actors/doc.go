// Package actors holds the one composition of a node: tree.go spawns the same
// actors over a live runtime and over a simulated one. Each sub-package is one
// actor family that knows the others only by the paths it is given here.
//
//	node
//	├── log · catalog · worker (└── volume/<id>.<generation>) · gateway
//	└── master (only while this node leads; one tree per epoch)
//	    └── coordinator
//
// Read first: tree.go, then data.go (what must be on disk before the first actor).
package actors
