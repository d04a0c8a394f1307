package sim

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	random "math/rand/v2"
	"sync"
)

// DeterministicRand makes crypto/rand.Reader, which etcd raft draws its election
// jitter from, a function of seed until restore is called. The reader belongs to
// the whole process: worlds that use it must not run at the same time, and it has
// no place outside tests.
func DeterministicRand(seed uint64) (restore func()) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	before := rand.Reader
	rand.Reader = &seededReader{source: random.NewChaCha8(key)}
	return func() { rand.Reader = before }
}

type seededReader struct {
	mu     sync.Mutex
	source *random.ChaCha8
}

var _ io.Reader = (*seededReader)(nil)

// Read implements io.Reader.
func (r *seededReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(p)
}
