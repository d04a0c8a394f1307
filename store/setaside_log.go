package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"tiercel/cluster/model"
)

// SetLogAside moves log/ and snapshots/ to quarantine/<name>/, with a copy of node.yaml
// and the reason beside them; the volumes stay. A name that is taken gets a number.
// Nothing is deleted, and nothing is done when there is neither log nor snapshot.
func (d *DataDir) SetLogAside(name, reason string) (target string, err error) {
	const op = "set the log aside"
	d.mu.Lock()
	defer d.mu.Unlock()
	held := false
	for _, dir := range []string{dirLog, dirSnapshots} {
		names, err := d.FS.List(dir)
		if err != nil {
			return "", failed(model.CodeUnavailable, op, dir+"/ cannot be listed", err)
		}
		held = held || len(names) > 0
	}
	if !held {
		return "", nil
	}
	if target, err = d.freeAside(name); err != nil {
		return "", failed(model.CodeUnavailable, op, dirQuarantine+"/ cannot be searched", err)
	}
	body, err := d.Identity().encode()
	if err != nil {
		return "", model.Errorf(model.CodeInternal, op, "node.yaml cannot be encoded: %w", err)
	}
	if err := d.FS.MkdirAll(target); err != nil {
		return "", failed(model.CodeUnavailable, op, target+"/ cannot be made", err)
	}
	// The reason and the identity first: what is set aside never lies there without them.
	for _, f := range []struct {
		name string
		data []byte
	}{{"reason.txt", []byte(reason + "\n")}, {nodeFile, body}} {
		if err := replaceFile(d.FS, path.Join(target, f.name), f.data); err != nil {
			return "", failed(model.CodeUnavailable, op, path.Join(target, f.name)+" cannot be written", err)
		}
	}
	for _, dir := range []string{dirLog, dirSnapshots} {
		if err := d.moveTree(dir, path.Join(target, dir)); err != nil {
			return "", failed(model.CodeUnavailable, op, dir+"/ cannot be moved to "+target, err)
		}
	}
	return target, nil
}

// freeAside finds a directory under quarantine/ that nothing was moved to yet: two
// logs have files of the same names.
func (d *DataDir) freeAside(name string) (string, error) {
	for n := 1; ; n++ {
		target := path.Join(dirQuarantine, name)
		if n > 1 {
			target += fmt.Sprintf(".%d", n)
		}
		_, err := d.FS.Stat(path.Join(target, nodeFile))
		if errors.Is(err, fs.ErrNotExist) {
			return target, nil
		}
		if err != nil {
			return "", err
		}
	}
}
