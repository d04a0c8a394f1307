package simtest

import (
	"hash/crc32"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// opKind says what a client did.
type opKind uint8

const (
	opPut opKind = iota
	opGet
	opDelete
	opMove
)

// input is what a client asked for. Paths are numbered within their group, so
// that a group is one object for the linearizability checker.
type input struct {
	kind         opKind
	group        int
	path, to     int // to: of a move
	value        string
	mustNotExist bool
	ifMatch      bool
	version      uint64 // of ifMatch
}

// output is what came back. unknown: nothing certain did.
type output struct {
	unknown bool
	code    string // of a refusal
	version uint64
	created bool
	present bool // of a get
	value   string
}

// operation is one entry of the history; times are virtual nanoseconds.
type operation struct {
	client    int
	in        input
	out       output
	call, ret int64
}

// blob is the content that stands for a value: anyone can make it again.
func blob(value string, size int) []byte {
	r := rand.New(rand.NewPCG(xxhash.Sum64String(value), uint64(size)))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// values finds a value again by what the catalog says of its content.
type values struct {
	byContent map[contentKey]string
}

type contentKey struct {
	crc  uint32
	size uint64
}

func (v *values) add(value string, content []byte) {
	v.byContent[contentKey{crc32.Checksum(content, castagnoli), uint64(len(content))}] = value
}

func (v *values) find(crc uint32, size uint64) (string, bool) {
	value, ok := v.byContent[contentKey{crc, size}]
	return value, ok
}

func crcOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
