package store

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

// assertCode checks an error's code and that its message names what it must.
func assertCode(t *testing.T, want model.Code, err error, names ...string) {
	t.Helper()
	if !assert.Error(t, err) {
		return
	}
	assert.Equal(t, want, model.CodeOf(err), "%v", err)
	for _, name := range names {
		assert.ErrorContains(t, err, name)
	}
}

// flipBit damages one byte of a file, in place.
func flipBit(t *testing.T, fsys FS, name string, at int64) {
	t.Helper()
	f, err := fsys.Open(name)
	require.NoError(t, err)
	p := make([]byte, 1)
	require.NoError(t, readFull(f, p, at))
	p[0] ^= 0x10
	_, err = f.WriteAt(p, at)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

// cutFile shortens a file by n bytes.
func cutFile(t *testing.T, fsys FS, name string, n int64) {
	t.Helper()
	f, err := fsys.Open(name)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size-n))
	require.NoError(t, f.Close())
}

// body is content of a size that tells where it belongs.
func body(seed, size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(seed*131 + i*7 + i>>8)
	}
	return p
}

// crashSuite crashes a scenario before each of its mutating operations in turn,
// and after the last, loses power with several seeds, and lets check look at
// what the next start finds. Between crash and power loss the process may have
// been killed and the recovery itself crashed half-way: recover is run on the
// way for that.
type crashSuite struct {
	seeds    uint64
	scenario func(fsys *MemFS) (acked any) // stops at the first error
	recover  func(fsys *MemFS)             // an opening whose result is thrown away
	check    func(t *testing.T, fsys *MemFS, acked any)
}

func (s crashSuite) run(t *testing.T) {
	count := NewMemFS(1)
	s.scenario(count)
	total := count.Mutations()
	require.Greater(t, total, 10, "the scenario does too little")
	for n := 1; n <= total+1; n++ {
		fsys := NewMemFS(uint64(n))
		fsys.CrashAfter(n, nil)
		acked := s.scenario(fsys)
		for seed := range s.seeds {
			random := testRand(uint64(n)<<16 | seed)
			next := fsys.Crash(random, seed%4 != 3)
			if seed%2 == 1 {
				next.CrashAfter(1+random.IntN(8), nil)
				s.recover(next)
				next = next.Crash(random, seed%4 == 1)
			}
			ok := t.Run(fmt.Sprintf("operation %d seed %d", n, seed), func(t *testing.T) { s.check(t, next, acked) })
			if !ok {
				return
			}
		}
	}
}

var errBoom = errors.New("boom")

func equalBytes(t *testing.T, want, got []byte, what string) {
	t.Helper()
	assert.True(t, bytes.Equal(want, got), "%s: %d bytes differ from the %d expected", what, len(got), len(want))
}
