package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"strings"

	"go.yaml.in/yaml/v3"

	"tiercel/cluster/model"
)

const (
	nodeFile      = "node.yaml"
	maxNodeFile   = 64 << 10
	maxRaftID     = math.MaxUint64 >> 1 // raft keeps the highest ids for itself
	nodeFileTitle = "# Who this node is. Written by tiercel; the checksum covers every field.\n"
)

// MaxPeerHints bounds NodeFile.Peers.
const MaxPeerHints = 256

// castagnoli is the table of every crc32c in this package.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NodeFile is node.yaml: the durable identity of a node.
type NodeFile struct {
	NodeID    model.NodeID
	ClusterID model.ClusterID // empty until a node that joins was taken in
	RaftID    uint64          // random, 1 to 2^63-1: a wiped disk is a new member
	// Generation is the cluster's as this node last knew it, 1 at first.
	Generation   uint64
	Incarnation  uint64      // starts so far, this one included
	HighestEpoch model.Epoch // a command of an older one is refused
	// Joined says that this node was made to join a cluster: it never founds one.
	Joined bool
	// Peers are the rpc addresses at which other nodes were last heard, host:port:
	// where to ask after a restart. Hints, never truth.
	Peers []string
	// Fork and TakenOverAt are set by a manual take-over: log entries up to that
	// index count as if this node had been the only voter.
	Fork        string
	TakenOverAt uint64
	// Superseded are the Raft ids of the members that the take-over left behind.
	Superseded []uint64
	// HeldLog says that this node was a member of the log: without its log it may not
	// vote under its Raft id any more.
	HeldLog bool
	// SupersededBy is the higher generation this node has met: it may not serve
	// again before its data was set aside. 0: none.
	SupersededBy uint64
	// StaleAt is how often this node had been started elsewhere when this directory,
	// with fewer starts, was refused: it is a copy or an old backup, and what it has
	// forgotten it could deny. Its own later starts change nothing about that. 0: it was not.
	StaleAt uint64
}

// nodeYAML is NodeFile as it is written.
type nodeYAML struct {
	NodeID       string    `yaml:"node_id"`
	ClusterID    string    `yaml:"cluster_id"`
	RaftID       uint64    `yaml:"raft_id"`
	Generation   uint64    `yaml:"generation"`
	Incarnation  uint64    `yaml:"incarnation"`
	HighestEpoch epochYAML `yaml:"highest_epoch"`
	Joined       bool      `yaml:"joined,omitempty"`
	Peers        []string  `yaml:"peers,omitempty"`
	Fork         string    `yaml:"fork,omitempty"`
	TakenOverAt  uint64    `yaml:"taken_over_at,omitempty"`
	Superseded   []uint64  `yaml:"superseded,omitempty"`
	HeldLog      bool      `yaml:"held_log,omitempty"`
	SupersededBy uint64    `yaml:"superseded_by,omitempty"`
	StaleAt      uint64    `yaml:"stale_at,omitempty"`
	Checksum     string    `yaml:"checksum"`
}

type epochYAML struct {
	Generation uint64 `yaml:"generation"`
	Term       uint64 `yaml:"term"`
}

// checksum covers the values in a fixed order, whatever the YAML looks like.
func (n NodeFile) checksum() string {
	text := fmt.Sprintf("%q %q %d %d %d %d %d", n.NodeID, n.ClusterID, n.RaftID, n.Generation, n.Incarnation,
		n.HighestEpoch.Generation, n.HighestEpoch.Term)
	if n.Joined || len(n.Peers) > 0 || n.Fork != "" || n.TakenOverAt != 0 || n.SupersededBy != 0 {
		text += fmt.Sprintf(" %t %q %q %d %d", n.Joined, n.Peers, n.Fork, n.TakenOverAt, n.SupersededBy)
	}
	if len(n.Superseded) > 0 {
		text += fmt.Sprintf(" %d", n.Superseded)
	}
	if n.HeldLog {
		text += " held"
	}
	if n.StaleAt != 0 {
		text += fmt.Sprintf(" stale %d", n.StaleAt)
	}
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(text), castagnoli))
}

func (n NodeFile) encode() ([]byte, error) {
	body, err := yaml.Marshal(nodeYAML{
		NodeID: string(n.NodeID), ClusterID: string(n.ClusterID), RaftID: n.RaftID, Generation: n.Generation,
		Incarnation: n.Incarnation, HighestEpoch: epochYAML(n.HighestEpoch), Joined: n.Joined, Peers: n.Peers,
		Fork: n.Fork, TakenOverAt: n.TakenOverAt, Superseded: n.Superseded, HeldLog: n.HeldLog, SupersededBy: n.SupersededBy, StaleAt: n.StaleAt, Checksum: n.checksum(),
	})
	return append([]byte(nodeFileTitle), body...), err
}

// decodeNodeFile is strict: known fields only, every id in its form, the checksum right.
func decodeNodeFile(data []byte) (NodeFile, error) {
	var y nodeYAML
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&y); err != nil {
		return NodeFile{}, fmt.Errorf("it is not the YAML it should be: %w", err)
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		return NodeFile{}, errors.New("it has more than one document")
	}
	n := NodeFile{
		NodeID: model.NodeID(y.NodeID), ClusterID: model.ClusterID(y.ClusterID), RaftID: y.RaftID,
		Generation: y.Generation, Incarnation: y.Incarnation, HighestEpoch: model.Epoch(y.HighestEpoch),
		Joined: y.Joined, Peers: y.Peers, Fork: y.Fork, TakenOverAt: y.TakenOverAt,
		Superseded: y.Superseded, HeldLog: y.HeldLog, SupersededBy: y.SupersededBy, StaleAt: y.StaleAt,
	}
	switch {
	case !isID(y.NodeID, "n-"):
		return NodeFile{}, errors.New("node_id is not n- and 16 hexadecimal digits")
	case y.ClusterID != "" && !isID(y.ClusterID, "c-"):
		return NodeFile{}, errors.New("cluster_id is not c- and 16 hexadecimal digits")
	case len(y.Peers) > MaxPeerHints:
		return NodeFile{}, fmt.Errorf("peers has more than %d entries", MaxPeerHints)
	case len(y.Superseded) > MaxPeerHints:
		return NodeFile{}, fmt.Errorf("superseded has more than %d entries", MaxPeerHints)
	case n.RaftID == 0 || n.RaftID > maxRaftID:
		return NodeFile{}, errors.New("raft_id is out of range")
	case n.checksum() != y.Checksum:
		return NodeFile{}, errors.New("the checksum does not match the fields")
	}
	return n, nil
}

func isID(s, prefix string) bool {
	digits, ok := strings.CutPrefix(s, prefix)
	raw, err := hex.DecodeString(digits)
	return ok && err == nil && len(raw) == 8 && digits == strings.ToLower(digits)
}

// NewRaftID draws the identity of a new member of a log.
func NewRaftID(random io.Reader) (uint64, error) {
	var raw [8]byte
	for {
		if _, err := io.ReadFull(random, raw[:]); err != nil {
			return 0, failed(model.CodeUnavailable, "draw a Raft id", "there are no random numbers", err)
		}
		if id := le.Uint64(raw[:]) & maxRaftID; id != 0 {
			return id, nil
		}
	}
}

// newNodeFile draws an identity. Its incarnation is not yet counted. A node that
// joins has no cluster of its own.
func newNodeFile(random io.Reader, joins bool) (NodeFile, error) {
	var raw [24]byte
	for {
		if _, err := io.ReadFull(random, raw[:]); err != nil {
			return NodeFile{}, err
		}
		id := le.Uint64(raw[16:]) & maxRaftID
		if id == 0 {
			continue
		}
		n := NodeFile{NodeID: model.NodeID("n-" + hex.EncodeToString(raw[:8])), RaftID: id, Generation: 1, Joined: joins}
		if !joins {
			n.ClusterID = model.ClusterID("c-" + hex.EncodeToString(raw[8:16]))
		}
		return n, nil
	}
}

// readNode reads node.yaml, or draws an identity for a directory without data. It
// changes nothing on disk.
func (d *DataDir) readNode(random io.Reader, joins bool) error {
	const op = "open data directory"
	data, err := readFile(d.FS, nodeFile, maxNodeFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		held, err := d.hasData()
		if err != nil {
			return failed(model.CodeUnavailable, op, "the data directory cannot be listed", err)
		}
		if held != "" {
			return model.Errorf(model.CodeCorrupt, op,
				"node.yaml is missing but %s is there; restore node.yaml from a backup (without it this would be another node)", held)
		}
		if d.node, err = newNodeFile(random, joins); err != nil {
			return failed(model.CodeUnavailable, op, "no random numbers for the node's identity", err)
		}
	case errors.Is(err, errTooLong):
		return model.Errorf(model.CodeCorrupt, op, "node.yaml is damaged: it has more than %d bytes; restore it from a backup", maxNodeFile)
	case err != nil:
		return failed(model.CodeUnavailable, op, "node.yaml cannot be read", err)
	default:
		if d.node, err = decodeNodeFile(data); err != nil {
			return model.Errorf(model.CodeCorrupt, op, "node.yaml is damaged; restore it from a backup: %w", err)
		}
	}
	return nil
}

// countStart makes this start durable.
func (d *DataDir) countStart(random io.Reader, joins bool) error {
	if d.node.SupersededBy != 0 && joins {
		if err := d.setAside(random); err != nil {
			return err
		}
	}
	d.node.Incarnation++
	return d.saveNode(d.node)
}

// UpdateNode changes node.yaml: the change is applied to a copy, made durable, and
// only then seen by Identity. It may be called from any goroutine. After an error
// the old node.yaml or the new one is there, whole, and Identity is the old.
func (d *DataDir) UpdateNode(change func(*NodeFile)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.Identity()
	change(&next)
	if err := d.saveNode(next); err != nil {
		return err
	}
	d.nodeMu.Lock()
	defer d.nodeMu.Unlock()
	d.node = next
	return nil
}

// Identity is a copy of node.yaml as it is on disk.
func (d *DataDir) Identity() NodeFile {
	d.nodeMu.Lock()
	defer d.nodeMu.Unlock()
	n := d.node
	n.Peers = append([]string(nil), d.node.Peers...)
	return n
}

func (d *DataDir) saveNode(n NodeFile) error {
	const op = "save node.yaml"
	data, err := n.encode()
	if err != nil {
		return model.Errorf(model.CodeInternal, op, "node.yaml cannot be encoded: %w", err)
	}
	if err := replaceFile(d.FS, nodeFile, data); err != nil {
		return failed(model.CodeUnavailable, op, "node.yaml cannot be written", err)
	}
	return nil
}
