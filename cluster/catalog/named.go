package catalog

import (
	"strings"

	"tiercel/messages"
)

// Named walks over the files and the uploads in key order and returns the extents
// that lie in one of the volumes. A call looks at about `rows` rows, of files,
// manifests and uploads together, from where the previous one ended: next is passed
// as after; it is empty at the end. What is moved to a path behind the walk while
// it goes on is found by the next one: a walk that finds nothing proves nothing,
// only live_bytes does.
func (c *Catalog) Named(volumes map[uint64]bool, after string, rows int) (found []*messages.NamedExtent, next string) {
	w := &namedWalk{c: c, volumes: volumes, room: max(rows, 2)}
	key, chunk := parseNamed(after)
	for w.room > 0 {
		var more bool
		if key, chunk, more = w.step(key, chunk); !more {
			return w.found, ""
		}
	}
	return w.found, key + "\x00" + hex(uint64(chunk), 8)
}

// parseNamed splits a position of the walk: a key, and the next chunk of its manifest.
func parseNamed(after string) (key string, chunk uint32) {
	if at := len(after) - 9; at >= 0 && after[at] == 0 {
		if n, ok := parseHex(after[at+1:], 8); ok {
			return after[:at], uint32(n)
		}
	}
	return prefixFile, 0
}

// FilesOf is the position of Named before the files of a tenant.
func FilesOf(tenant string) string { return fileKey(tenant, "") + "\x00" + hex(0, 8) }

// Behind is the position of Named behind a file.
func Behind(tenant, path string) string { return fileKey(tenant, path) + "\x00\x00" + hex(0, 8) }

// Among says whose files a position of Named is among; not ok at the end and among the
// uploads. within: a part of the file there was looked at.
func Among(position string) (tenant string, within, ok bool) {
	key, chunk := parseNamed(position)
	rest, ok := strings.CutPrefix(key, prefixFile)
	tenant, _, _ = strings.Cut(rest, "\x00")
	return tenant, chunk > 0, ok && position != ""
}

// namedWalk gathers one page of Named.
type namedWalk struct {
	c       *Catalog
	volumes map[uint64]bool
	room    int // rows that may still be looked at
	found   []*messages.NamedExtent
}

// step goes from a key up to a row that has a manifest, and on in that.
func (w *namedWalk) step(key string, chunk uint32) (again string, at uint32, more bool) {
	if w.c.halted != nil {
		return "", 0, false
	}
	owner, manifest, last := w.rows(key)
	if manifest == 0 {
		return last, 0, last != ""
	}
	if owner.key != key {
		chunk = 0
	}
	for ; w.room > 0; chunk++ {
		extents := w.c.chunk(manifest, chunk)
		w.room--
		if extents == nil {
			return last, 0, true
		}
		w.take(owner.named, uint64(chunk)*ManifestChunkExtents, extents)
	}
	return owner.key, chunk, true
}

// namedOwner is a row that names extents.
type namedOwner struct {
	key   string
	named *messages.NamedExtent // without the extent
}

// rows looks at rows from a key on until one has a manifest, which the caller goes
// on with, or there is no more room; next is where to go on then, empty at the end.
func (w *namedWalk) rows(from string) (owner namedOwner, manifest uint64, next string) {
	if strings.HasPrefix(from, prefixUpload) {
		return w.under(prefixUpload, from)
	}
	if owner, manifest, next = w.under(prefixFile, from); next == "" {
		return owner, manifest, prefixUpload
	}
	return owner, manifest, next
}

// under is rows for one prefix.
func (w *namedWalk) under(prefix, from string) (owner namedOwner, manifest uint64, next string) {
	w.c.ix.Ascend(from, func(key, value string) bool {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			return false
		}
		if w.room == 0 {
			next = key
			return false
		}
		w.room--
		owner, manifest = w.row(prefix, rest, value)
		if manifest != 0 {
			owner.key, next = key, key+"\x00"
		}
		return manifest == 0 && w.c.halted == nil
	})
	return owner, manifest, next
}

// row takes the extents of one row, or names its manifest.
func (w *namedWalk) row(prefix, rest, value string) (owner namedOwner, manifest uint64) {
	if prefix == prefixUpload {
		id, _ := parseHex(rest, 16)
		row := &messages.UploadRow{}
		if u := w.c.uploads[id]; u != nil {
			row = u.row // the index may not have the newest yet
		}
		if row.Extents == 0 {
			return owner, 0
		}
		owner.named = &messages.NamedExtent{Tenant: row.Tenant, Upload: id}
		return owner, id
	}
	row := &messages.FileRow{}
	if !w.c.decode(prefix+rest, value, row) {
		return owner, 0
	}
	tenant, path, _ := strings.Cut(rest, "\x00")
	owner.named = &messages.NamedExtent{Tenant: tenant, Path: path, Version: row.Version}
	w.take(owner.named, 0, row.Extents)
	return owner, row.Manifest
}

// take keeps those extents that lie in one of the volumes.
func (w *namedWalk) take(owner *messages.NamedExtent, first uint64, extents []*messages.Extent) {
	for i, e := range extents {
		if w.volumes[e.Volume] {
			w.found = append(w.found, &messages.NamedExtent{
				Tenant: owner.Tenant, Path: owner.Path, Version: owner.Version, Upload: owner.Upload,
				Position: first + uint64(i), Extent: e,
			})
		}
	}
}
