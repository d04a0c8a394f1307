// Package version says which build of Tiercel this is. It owns the version
// string that the linker sets and reads the rest from the build information in
// the binary. It decides nothing: cluster behaviour is gated by the logged
// cluster_version, never by this.
//
// Read first: version.go.
package version
