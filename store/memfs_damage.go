package store

import "io/fs"

// Damage flips every bit of one byte of a file, in memory and so on disk, as a disk
// does that lies. Nobody is told.
func (m *MemFS) Damage(name string, offset int64) error {
	return m.do("damage", name, false, func() error {
		dir, _, base, err := m.lookup(name)
		if err != nil {
			return err
		}
		inode := dir.current[base]
		switch {
		case inode == nil:
			return fs.ErrNotExist
		case offset < 0 || offset >= int64(len(inode.data)):
			return fs.ErrInvalid
		}
		inode.data[offset] ^= 0xff
		return nil
	})
}
