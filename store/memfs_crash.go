package store

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

// CrashAfter makes the n-th mutating operation from now (1: the next) fail with
// ErrCrashed and without effect, and every operation after it. fn, if not nil,
// is called once, outside all locks, when that happens. 0 takes the order back.
func (m *MemFS) CrashAfter(n int, fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashIn, m.onCrash = n, fn
}

// Crash ends this file system and returns what the next start finds; every
// later operation on this one fails with ErrCrashed.
//
// powerLoss false is the end of the process: all that was written is there, and
// what was not durable still is not. powerLoss true is the end of the machine:
//   - each entry change (create, rename, remove) whose directory was not synced
//     is kept or lost; a rename is kept or lost as a whole;
//   - each 4 KiB block written since the last good Sync is kept, dropped, or torn
//     in 512-byte sectors, and the size is the old, the new, or one between;
//   - what a failed Sync should have made durable is dropped.
//
// random decides (nil: the file system's own); the same state and seed give the
// same result. It may be called again for another outcome of the same moment.
func (m *MemFS) Crash(random *rand.Rand, powerLoss bool) *MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	if random == nil {
		random = m.random
	}
	m.crashed = true
	next := NewMemFS(random.Uint64())
	next.capacity, next.mutations = m.capacity, m.mutations
	if powerLoss {
		m.losePower(random, next)
	} else {
		m.endProcess(next)
	}
	return next
}

// endProcess copies everything, the account of what is not durable included.
func (m *MemFS) endProcess(next *MemFS) {
	copies := map[*memInode]*memInode{}
	copyOf := func(n *memInode) *memInode {
		if n == nil {
			return nil
		}
		if copies[n] == nil {
			c := *n
			c.data = slices.Clone(n.data)
			c.dirty, c.lost = maps.Clone(n.dirty), maps.Clone(n.lost)
			copies[n] = &c
		}
		return copies[n]
	}
	for name, dir := range m.dirs {
		nextDir := newMemDir()
		for base, inode := range dir.current {
			nextDir.current[base] = copyOf(inode)
		}
		for base, inode := range dir.durable {
			nextDir.durable[base] = copyOf(inode)
		}
		next.dirs[name] = nextDir
	}
	for _, op := range m.pending {
		op.inode = copyOf(op.inode)
		next.pending = append(next.pending, op)
	}
	next.used = m.used
}

// losePower builds next from what is durable and, by chance, some of the rest.
func (m *MemFS) losePower(random *rand.Rand, next *MemFS) {
	durable := map[string]map[string]*memInode{}
	for name, dir := range m.dirs {
		durable[name] = maps.Clone(dir.durable)
	}
	for _, op := range m.pending {
		if random.IntN(2) == 0 {
			op.apply(durable)
		}
	}
	left := map[*memInode]*memInode{}
	for _, name := range slices.Sorted(maps.Keys(durable)) {
		dir := newMemDir()
		next.dirs[name] = dir
		for _, base := range slices.Sorted(maps.Keys(durable[name])) {
			inode := durable[name][base]
			if left[inode] == nil {
				left[inode] = inode.afterPowerLoss(random)
				next.used += left[inode].counted
			}
			dir.current[base], dir.durable[base] = left[inode], left[inode]
			left[inode].links++
		}
	}
}

// apply makes the halves of op that are not yet durable so in dirs.
func (op memEntryOp) apply(dirs map[string]map[string]*memInode) {
	if op.fromName != "" {
		delete(dirs[op.fromDir], op.fromName)
	}
	if op.toName != "" {
		dirs[op.toDir][op.toName] = op.inode
	}
}

// SyncDir implements FS.
func (m *MemFS) SyncDir(dir string) error {
	return m.do("syncdir", dir, true, func() error {
		if m.dirs[dir] == nil {
			return fs.ErrNotExist
		}
		m.syncDir(dir)
		return nil
	})
}

// syncDir makes the halves of the pending changes that are in dir durable.
func (m *MemFS) syncDir(dir string) {
	entries := m.dirs[dir].durable
	for i := range m.pending {
		op := &m.pending[i]
		if op.fromName != "" && op.fromDir == dir {
			delete(entries, op.fromName)
			op.fromName = ""
		}
		if op.toName != "" && op.toDir == dir {
			entries[op.toName] = op.inode
			op.toName = ""
		}
	}
	m.pending = slices.DeleteFunc(m.pending, func(op memEntryOp) bool { return op.fromName == "" && op.toName == "" })
}

// withoutDir forgets what is pending in a directory that is gone.
func withoutDir(pending []memEntryOp, dir string) []memEntryOp {
	for i := range pending {
		if pending[i].fromDir == dir {
			pending[i].fromName = ""
		}
		if pending[i].toDir == dir {
			pending[i].toName = ""
		}
	}
	return slices.DeleteFunc(pending, func(op memEntryOp) bool { return op.fromName == "" && op.toName == "" })
}

// afterPowerLoss is the file as the disk has it: a new inode, all durable.
func (n *memInode) afterPowerLoss(random *rand.Rand) *memInode {
	size := n.sizeAfterPowerLoss(random)
	data := make([]byte, max(size, int64(len(n.data))))
	copy(data, n.data)
	for _, block := range slices.Sorted(maps.Keys(n.lost)) {
		putBlock(data, block, n.lost[block])
	}
	for _, block := range slices.Sorted(maps.Keys(n.dirty)) {
		switch random.IntN(3) {
		case 0: // kept
		case 1:
			putBlock(data, block, n.dirty[block])
		case 2:
			tearBlock(random, data, block, n.dirty[block])
		}
	}
	data = data[:size:size]
	return &memInode{
		data: data, durableSize: size, lowSize: size, counted: size, modified: n.modified,
		dirty: map[int64][]byte{}, lost: map[int64][]byte{},
	}
}

func (n *memInode) sizeAfterPowerLoss(random *rand.Rand) int64 {
	size := int64(len(n.data))
	if !n.sizeDirty {
		return n.durableSize
	}
	low := min(n.durableSize, n.lowSize, size)
	switch random.IntN(4) {
	case 0:
		return n.durableSize
	case 1:
		return size
	case 2:
		return low
	}
	return low + random.Int64N(max(n.durableSize, size)-low+1)
}

// putBlock puts old, padded with zeros, back into a block of data.
func putBlock(data []byte, block int64, old []byte) {
	from := block * memBlock
	if from >= int64(len(data)) {
		return
	}
	dst := data[from:min(from+memBlock, int64(len(data)))]
	clear(dst[copy(dst, old):])
}

// tearBlock puts some sectors of old back, and cuts inside one.
func tearBlock(random *rand.Rand, data []byte, block int64, old []byte) {
	from := block * memBlock
	if from >= int64(len(data)) {
		return
	}
	torn := slices.Clone(data[from:min(from+memBlock, int64(len(data)))])
	putBlock(data, block, old)
	dst := data[from:min(from+memBlock, int64(len(data)))]
	for at := 0; at < len(dst); at += memSector {
		end := min(at+memSector, len(dst))
		switch random.IntN(4) {
		case 0, 1:
			copy(dst[at:end], torn[at:end])
		case 2:
			cut := at + random.IntN(end-at+1)
			copy(dst[at:cut], torn[at:cut])
		}
	}
}

// Names lists every file, sorted, for tests and traces.
func (m *MemFS) Names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for dir, d := range m.dirs {
		for base := range d.current {
			names = append(names, path.Join(dir, base))
		}
	}
	slices.Sort(names)
	return names
}
