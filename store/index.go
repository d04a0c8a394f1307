package store

// Index is an ordered map of strings, in memory: where the catalog lives. Keys
// are compared byte by byte. It is used by one goroutine at a time, except that
// a snapshot's pieces may be encoded elsewhere once Next has returned them.
type Index interface {
	// Get returns the value of key.
	Get(key string) (string, bool)
	// Set stores value and returns what it replaced.
	Set(key, value string) (previous string, replaced bool)
	// Delete removes key and returns what it held.
	Delete(key string) (previous string, deleted bool)
	// Ascend calls fn for each pair with from <= key, in order, until fn says no.
	Ascend(from string, fn func(key, value string) bool)
	// Len is the number of keys.
	Len() int
	// Begin and End bracket the writes of one applied batch, which share one
	// transaction. Reads see the batch's own writes.
	Begin()
	End()
	// Snapshot begins a walk over the state as it is now. Writes go on
	// meanwhile; the walk still returns the state of its beginning. One at a time.
	Snapshot() SnapshotWalk
}

// SnapshotWalk returns a frozen state piece by piece, so that no piece holds
// up writes.
type SnapshotWalk interface {
	// Next returns the next pairs in key order, about maxBytes of them; nil at the end.
	Next(maxBytes int) []Pair
	// Close ends the walk, finished or not.
	Close()
}

// Pair is a key with its value.
type Pair struct{ Key, Value string }
