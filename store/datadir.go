package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"syscall"

	"tiercel/cluster/model"
)

const (
	versionFile   = "VERSION"
	lockFile      = "LOCK"
	formatVersion = "1\n"
	// dirLostFound lies in the root of many a new file system.
	dirLostFound = "lost+found"
)

// DataDir is an opened data directory: locked, of a known version, with its
// layout in place and this start's incarnation made durable.
type DataDir struct {
	FS FS

	mu   sync.Mutex // orders what is written
	lock io.Closer

	nodeMu sync.Mutex // guards node; never held during a write: actors ask who they are
	node   NodeFile   // as it is on disk
	aside  *Aside     // by this start; nil: nothing
}

// OpenDataDir locks and checks a data directory, or makes a new one with ids
// drawn from random. It empties tmp/ and increments the incarnation.
//
// Errors are model.Error: invalid_argument for another format version, conflict for a
// directory with somebody else's files, unavailable when another process holds it or it cannot be written, cluster_full,
// and corrupt when a part that must be there is damaged or missing.
//
// joins says that a new directory is for a node that joins a cluster: it founds
// none. A directory that is not new stays what it is.
func OpenDataDir(fsys FS, random io.Reader, joins bool) (*DataDir, error) {
	return openDir(fsys, random, joins, func(NodeFile) error { return nil })
}

// OpenToStart is OpenDataDir for a node that is about to run: a directory that has lost
// its log (LostLog) is refused, as corrupt, before anything in it is changed, so that
// whoever looks at it afterwards sees what is missing.
func OpenToStart(fsys FS, random io.Reader, joins bool) (*DataDir, error) {
	return openDir(fsys, random, joins, func(n NodeFile) error {
		if n.SupersededBy != 0 && joins {
			return nil // all that is left is set aside
		}
		return RefuseLostLog(fsys, n)
	})
}

func openDir(fsys FS, random io.Reader, joins bool, judge func(NodeFile) error) (*DataDir, error) {
	const op = "open data directory"
	// Before anything is written: a directory of another version stays as it is.
	if _, err := checkVersion(fsys); err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(lockFile)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, model.Errorf(model.CodeUnavailable, op,
			"LOCK is held: another process uses this data directory; stop it or choose another with --data-dir: %w", err)
	}
	if err != nil {
		return nil, failed(model.CodeUnavailable, op, "LOCK cannot be taken; make the data directory writable for this user", err)
	}
	d := &DataDir{FS: fsys, lock: lock}
	if err := d.prepare(random, joins, judge); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// prepare changes nothing before it knows whose directory it is, and that it may be used.
func (d *DataDir) prepare(random io.Reader, joins bool, judge func(NodeFile) error) error {
	const op = "open data directory"
	fresh, err := checkVersion(d.FS)
	if err != nil {
		return err
	}
	if err := d.readNode(random, joins); err != nil {
		return err
	}
	if err := judge(d.node); err != nil {
		return err
	}
	if err := d.FS.MkdirAll(dirTmp); err != nil {
		return failed(model.CodeUnavailable, op, "tmp/ cannot be made", err)
	}
	if err := d.emptyTmp(); err != nil {
		return failed(model.CodeUnavailable, op, "tmp/ cannot be emptied", err)
	}
	if fresh {
		if err := replaceFile(d.FS, versionFile, []byte(formatVersion)); err != nil {
			return failed(model.CodeUnavailable, op, "VERSION cannot be written", err)
		}
	}
	if err := syncAside(d.FS); err != nil {
		return failed(model.CodeUnavailable, op, dirQuarantine+"/ cannot be synced", err)
	}
	for _, dir := range layout() {
		if err := d.FS.MkdirAll(dir); err != nil {
			return failed(model.CodeUnavailable, op, dir+"/ cannot be made", err)
		}
		// A killed process may have left names there that a power loss could still take.
		if err := d.FS.SyncDir(dir); err != nil {
			return failed(model.CodeUnavailable, op, dir+"/ cannot be synced", err)
		}
	}
	return d.countStart(random, joins)
}

func layout() []string {
	dirs := []string{dirLog, dirSnapshots, dirQuarantine}
	for _, tier := range model.Tiers {
		dirs = append(dirs, tierDir(tier))
	}
	return dirs
}

func tierDir(tier model.Tier) string { return fmt.Sprintf("%s/t%d", dirVolumes, tier) }

// checkVersion refuses a directory of another version, one that has lost its VERSION
// but not its data, and one with other content. fresh: there is nothing.
func checkVersion(fsys FS) (fresh bool, err error) {
	const op = "open data directory"
	text, err := readFile(fsys, versionFile, 64)
	switch {
	case err == nil && string(text) == formatVersion:
		return false, nil
	case err == nil:
		return false, model.Errorf(model.CodeInvalidArgument, op,
			"VERSION says format %q; this program reads format %q: use the program that wrote it, or choose another directory with --data-dir",
			strings.TrimSpace(string(text)), strings.TrimSpace(formatVersion))
	case errors.Is(err, errTooLong):
		return false, model.Errorf(model.CodeInvalidArgument, op, "VERSION is not a format version; choose another directory with --data-dir")
	case !errors.Is(err, fs.ErrNotExist):
		return false, failed(model.CodeUnavailable, op, "VERSION cannot be read; check the permissions of the data directory", err)
	}
	names, err := fsys.List(".")
	if err != nil {
		return false, failed(model.CodeUnavailable, op, "the data directory cannot be listed", err)
	}
	for _, name := range names {
		switch name {
		case nodeFile, dirLog + "/", dirVolumes + "/", dirSnapshots + "/", dirQuarantine + "/":
			return false, model.Errorf(model.CodeCorrupt, op,
				"VERSION is missing but %s is there; if the data is of format %s, write that number into VERSION, else restore the directory",
				name, strings.TrimSpace(formatVersion))
		}
	}
	return true, checkEmpty(fsys, names)
}

// checkEmpty refuses to begin in a directory that holds somebody else's files: nothing
// of it is touched. Allowed is what a first start that was cut short leaves behind, and
// what mkfs makes. shown bounds the names in the error.
func checkEmpty(fsys FS, names []string) error {
	const op, shown = "open data directory", 5
	var strange []string
	for _, name := range names {
		switch name {
		case lockFile, dirLostFound + "/":
		case dirTmp + "/":
			left, err := fsys.List(dirTmp)
			if err != nil {
				return failed(model.CodeUnavailable, op, "tmp/ cannot be listed", err)
			}
			for _, name := range left {
				if name != versionFile { // on its way to its place
					strange = append(strange, path.Join(dirTmp, name))
				}
			}
		default:
			strange = append(strange, name)
		}
	}
	if len(strange) == 0 {
		return nil
	}
	more := ""
	if n := len(strange) - shown; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return model.Errorf(model.CodeConflict, op,
		"this is no data directory of a node, and it is not empty: it holds %s%s; nothing was changed. Name an empty or a new directory with --data-dir",
		strings.Join(strange[:min(shown, len(strange))], ", "), more)
}

// IsNew reports whether OpenDataDir would make a new node of a directory. Errors as of
// OpenDataDir, for a directory of another version or one that has lost its VERSION.
func IsNew(fsys FS) (bool, error) {
	fresh, err := checkVersion(fsys)
	if err != nil || fresh {
		return fresh, err
	}
	// A start that was cut short may have come as far as VERSION.
	_, err = fsys.Stat(nodeFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, failed(model.CodeUnavailable, "open data directory", "node.yaml cannot be read", err)
	}
	return false, nil
}

// emptyTmp removes what an earlier start left unfinished.
func (d *DataDir) emptyTmp() error {
	names, err := d.FS.List(dirTmp)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "/") {
			continue // not ours
		}
		if err := d.FS.Remove(path.Join(dirTmp, name)); err != nil {
			return err
		}
	}
	return nil
}

// hasData tells whether the directory has held anything beside its layout.
func (d *DataDir) hasData() (string, error) {
	for _, dir := range layout() {
		names, err := listIfThere(d.FS, dir)
		if err != nil {
			return "", err
		}
		if len(names) > 0 {
			return path.Join(dir, names[0]), nil
		}
	}
	return "", nil
}

// Close gives the lock back. Call it last.
func (d *DataDir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil {
		return nil
	}
	err := d.lock.Close()
	d.lock = nil
	return err
}

// Quarantine moves a file to quarantine/ with <name>.reason.txt beside it, both
// durable when it returns nil. Nothing there is ever overwritten or deleted: a
// name that is taken gets a number.
func (d *DataDir) Quarantine(name, reason string) error {
	const op = "quarantine"
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.FS.Stat(name); err != nil {
		code := model.CodeUnavailable
		if errors.Is(err, fs.ErrNotExist) {
			code = model.CodeNotFound
		}
		return failed(code, op, name+" cannot be set aside", err)
	}
	target, err := d.freeQuarantineName(path.Base(name))
	if err != nil {
		return failed(model.CodeUnavailable, op, "quarantine/ cannot be searched", err)
	}
	// The reason first: what is set aside never lies there without it.
	text := fmt.Sprintf("%s was set aside: %s\n", name, reason)
	if err := replaceFile(d.FS, target+".reason.txt", []byte(text)); err != nil {
		return failed(model.CodeUnavailable, op, "the reason for "+name+" cannot be written", err)
	}
	if err := d.FS.Rename(name, target); err != nil {
		return failed(model.CodeUnavailable, op, name+" cannot be moved to "+target, err)
	}
	// The new name before the end of the old one.
	for _, dir := range []string{dirQuarantine, path.Dir(name)} {
		if err := d.FS.SyncDir(dir); err != nil {
			return failed(model.CodeUnavailable, op, dir+"/ cannot be synced", err)
		}
	}
	return nil
}

func (d *DataDir) freeQuarantineName(base string) (string, error) {
	for n := 1; ; n++ {
		target := path.Join(dirQuarantine, base)
		if n > 1 {
			target += fmt.Sprintf(".%d", n)
		}
		taken := false
		for _, name := range []string{target, target + ".reason.txt"} {
			_, err := d.FS.Stat(name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			taken = taken || err == nil
		}
		if !taken {
			return target, nil
		}
	}
}
