// Package transfer copies between the local file system and Tiercel, and
// repeats calls over all files below a path. It owns how local names and paths
// map to each other, the walk, the pool of workers, and the tally of what went
// well and what did not; one bad file never stops the others, a server that
// cannot be reached does.
//
// The one rule of names, in both directions, for SRC and DST:
//
//   - DST that ends in "/" is a directory: SRC arrives in it under its own name.
//   - DST without it is the new name of SRC (there is only one then).
//   - SRC that ends in "/" has no own name: its contents go directly into DST,
//     however DST is written. The same holds for "." and "..".
//
// It refuses to write outside of the target directory whatever the server
// says: paths are checked and files are opened below an os.Root.
//
// Read first: names.go, tally.go, put.go, get.go.
package transfer
