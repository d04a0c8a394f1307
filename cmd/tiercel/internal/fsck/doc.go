// Package fsck checks a node's data directory while no node uses it, and
// changes nothing in it.
//
// It runs the very code that a node starts with (data directory, snapshot,
// log, catalog, volumes) over an overlay: what that code writes stays in memory
// (overlay.go), so that the check sees exactly what a start would see, repairs
// included, and the disk stays as it is. Then it checks the catalog against its
// own invariants, the volumes against the catalog, and the content of every
// file against its checksum.
//
// It repairs nothing and judges nothing but this one directory: copies on other
// nodes are not looked at.
//
// Read first: check.go, report.go.
package fsck
