// Package affected tells which files have content that nobody can read, and whether it
// may come back. It walks over the rows of cluster/catalog, judges each volume by
// StandingOf of cluster/replication, which counts them, and by Damaged of
// cluster/compaction, which salvages them; of a volume that was lost in part only the
// files that are in that part are concerned.
//
// It refuses to know more than the log does: a damaged volume is told with all that is in
// it, since which of its records are bad only those who hold it could say.
//
// A file has the state of its worst piece. Read Files first.
package affected
