package archive

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind says what an item is.
type Kind uint8

// The kinds of items.
const (
	Checkpoint Kind = iota + 1 // one part of a catalog snapshot
	Journal                    // a run of log entries
)

// Item is one file of the archive, as its path tells.
type Item struct {
	Kind       Kind
	Generation uint64 // of the cluster
	// Index is the log index that a checkpoint stands at. Part counts from 0.
	Index    uint64
	Part, Of uint32
	// From and To are the log indexes of a journal segment, both included.
	From, To uint64
	Bytes    uint64 // of the file; not part of the path
}

const (
	checkpointDir = "/checkpoint/"
	journalDir    = "/journal/"
)

// Path is the item's name in the system's tenant.
func (i Item) Path() string {
	if i.Kind == Checkpoint {
		return fmt.Sprintf("%s%016x-%016x/%08x-%08x", checkpointDir, i.Generation, i.Index, i.Part, i.Of)
	}
	return fmt.Sprintf("%s%016x-%016x-%016x", journalDir, i.Generation, i.From, i.To)
}

// Parse reads a path of the system's tenant; not ok for one that Path never gives.
func Parse(path string) (item Item, ok bool) {
	if rest, is := strings.CutPrefix(path, checkpointDir); is {
		n, ok := numbers(strings.Replace(rest, "/", "-", 1), 4)
		if !ok || n[2] >= n[3] || n[3] > maxParts {
			return Item{}, false
		}
		item = Item{Kind: Checkpoint, Generation: n[0], Index: n[1], Part: uint32(n[2]), Of: uint32(n[3])}
	} else if rest, is := strings.CutPrefix(path, journalDir); is {
		n, ok := numbers(rest, 3)
		if !ok || n[1] == 0 || n[1] > n[2] {
			return Item{}, false
		}
		item = Item{Kind: Journal, Generation: n[0], From: n[1], To: n[2]}
	}
	return item, item.Kind != 0 && item.Path() == path
}

// maxParts bounds a checkpoint: a quarter of a TiB in parts of PartBytes.
const maxParts = 1 << 16

// PartBytes of a checkpoint are one file: one record in a volume.
const PartBytes = 4 << 20

func numbers(text string, count int) (out []uint64, ok bool) {
	fields := strings.Split(text, "-")
	if len(fields) != count {
		return nil, false
	}
	for _, field := range fields {
		n, err := strconv.ParseUint(field, 16, 64)
		if err != nil {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}
