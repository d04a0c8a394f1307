package load

import (
	"encoding/binary"
	"io"
	"math/rand/v2"

	"tiercel/cmd/tiercel/internal/client"
)

// Content is one random block over and over, each time with a stamp of the file's
// number and the offset in front, so that no two files are alike and nothing
// compresses within a block. It is made while it is read and never held.
const (
	blockBytes = 1 << 20
	stampBytes = 16
)

// newBlock fills the block that all files share.
func newBlock() []byte {
	random := rand.NewPCG(1, 2)
	block := make([]byte, blockBytes)
	for at := 0; at < len(block); at += 8 {
		binary.LittleEndian.PutUint64(block[at:], random.Uint64())
	}
	return block
}

// content reads file number of a size; block is shared and only read.
type content struct {
	block    []byte
	number   uint64
	at, size int64
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	if c.at == c.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.size-c.at)]
	within := c.at % blockBytes
	n := 0
	if within < stampBytes {
		var stamp [stampBytes]byte
		binary.LittleEndian.PutUint64(stamp[:], c.number)
		binary.LittleEndian.PutUint64(stamp[8:], uint64(c.at-within))
		n = copy(p, stamp[within:])
		within += int64(n)
	}
	n += copy(p[n:], c.block[within:])
	c.at += int64(n)
	return n, nil
}

// source is the content of a file, from its start for each attempt.
func source(block []byte, number uint64, size int64) client.Source {
	return client.Source{Size: size, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(&content{block: block, number: number, size: size}), nil
	}}
}

// sink takes a download and keeps nothing: the client sums it up.
type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }

// Restart is told that the file was replaced meanwhile. Its checksum will say so.
func (sink) Restart() error { return nil }
