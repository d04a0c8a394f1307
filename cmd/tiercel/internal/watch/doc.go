// Package watch notices that files have changed. It looks at them every so often instead
// of asking the kernel to tell: what Kubernetes mounts is swapped behind symbolic links,
// and network file systems tell nothing. It owns no content and decides nothing.
//
// Read first: watch.go.
package watch
