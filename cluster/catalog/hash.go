package catalog

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// multiset is the state hash: the sum, modulo 2^64 in each of two lanes, of a
// hash of every (key, value) row. A sum does not depend on order, and a row can
// be taken out again, so it costs O(1) per changed row. It finds divergence
// between voters; it is no defence against someone who constructs collisions.
type multiset struct{ lo, hi uint64 }

func (m *multiset) add(key, value string) {
	lo, hi := rowHash(key, value)
	m.lo += lo
	m.hi += hi
}

func (m *multiset) remove(key, value string) {
	lo, hi := rowHash(key, value)
	m.lo -= lo
	m.hi -= hi
}

// bytes is the hash as 16 bytes, big endian.
func (m *multiset) bytes() []byte {
	out := make([]byte, 0, 16)
	out = binary.BigEndian.AppendUint64(out, m.hi)
	return binary.BigEndian.AppendUint64(out, m.lo)
}

// rowHash hashes key and value apart, so that no byte can wander between them,
// and mixes the two differently into each lane.
func rowHash(key, value string) (lo, hi uint64) {
	const (
		odd1 = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
		odd2 = 0xc2b2ae3d27d4eb4f // a prime of xxhash
	)
	k, v := xxhash.Sum64String(key), xxhash.Sum64String(value)
	lo = scramble(k*odd1 + bits.RotateLeft64(v, 31))
	hi = scramble(v*odd2 ^ bits.RotateLeft64(k, 17))
	return lo, hi
}

// scramble is the finaliser of MurmurHash3: without it the sum of rows would be
// linear in their hashes, and swapping the values of two keys would not show.
func scramble(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
