package store

import (
	"errors"
	"runtime"

	"github.com/tidwall/buntdb"
)

// buntIndex is Index over buntdb in memory. buntdb's own file and its expiry are
// not used: durability is the log's and the snapshots' (DESIGN "The log").
//
// With a store in memory and no expiry buntdb can only fail on wrong use, which
// is a broken invariant of this file: such an error is a panic.
type buntIndex struct {
	db   *buntdb.DB
	tx   *buntdb.Tx // between Begin and End
	len  int
	walk *indexWalk // under way
}

// NewIndex makes an empty index. Its memory, and the ticker that buntdb keeps,
// are freed when it is no longer used; it is an io.Closer for those who know.
func NewIndex() Index { return newBuntIndex() }

func newBuntIndex() *buntIndex {
	db, err := buntdb.Open(":memory:")
	must(err)
	x := &buntIndex{db: db}
	runtime.AddCleanup(x, func(db *buntdb.DB) { _ = db.Close() }, db)
	return x
}

func must(err error) {
	if err != nil {
		panic("store: index: " + err.Error())
	}
}

// Close frees the index at once.
func (x *buntIndex) Close() error {
	if err := x.db.Close(); !errors.Is(err, buntdb.ErrDatabaseClosed) {
		return err
	}
	return nil
}

// read runs fn in the open transaction, or in one of its own.
func (x *buntIndex) read(fn func(tx *buntdb.Tx)) {
	if x.tx != nil {
		fn(x.tx)
		return
	}
	tx, err := x.db.Begin(false)
	must(err)
	defer func() { must(tx.Rollback()) }()
	fn(tx)
}

// write runs fn in the open transaction, or in one of its own.
func (x *buntIndex) write(fn func(tx *buntdb.Tx)) {
	if x.tx != nil {
		fn(x.tx)
		return
	}
	x.Begin()
	defer x.End()
	fn(x.tx)
}

// Begin implements Index.
func (x *buntIndex) Begin() {
	if x.tx != nil {
		panic("store: index: Begin within Begin")
	}
	tx, err := x.db.Begin(true)
	must(err)
	x.tx = tx
}

// End implements Index.
func (x *buntIndex) End() {
	tx := x.tx
	if tx == nil {
		panic("store: index: End without Begin")
	}
	x.tx = nil
	must(tx.Commit())
}

// Get implements Index.
func (x *buntIndex) Get(key string) (value string, ok bool) {
	x.read(func(tx *buntdb.Tx) { value, ok = get(tx, key) })
	return value, ok
}

func get(tx *buntdb.Tx, key string) (string, bool) {
	value, err := tx.Get(key)
	if errors.Is(err, buntdb.ErrNotFound) {
		return "", false
	}
	must(err)
	return value, true
}

// Set implements Index.
func (x *buntIndex) Set(key, value string) (previous string, replaced bool) {
	x.write(func(tx *buntdb.Tx) {
		var err error
		previous, replaced, err = tx.Set(key, value, nil)
		must(err)
	})
	if !replaced {
		x.len++
	}
	if x.walk != nil {
		x.walk.changed(key, previous, replaced)
	}
	return previous, replaced
}

// Delete implements Index.
func (x *buntIndex) Delete(key string) (previous string, deleted bool) {
	x.write(func(tx *buntdb.Tx) {
		var err error
		previous, err = tx.Delete(key)
		if deleted = !errors.Is(err, buntdb.ErrNotFound); deleted {
			must(err)
		}
	})
	if deleted {
		x.len--
		if x.walk != nil {
			x.walk.changed(key, previous, true)
		}
	}
	return previous, deleted
}

// Ascend implements Index. fn must not change the index.
func (x *buntIndex) Ascend(from string, fn func(key, value string) bool) {
	x.read(func(tx *buntdb.Tx) { must(tx.AscendGreaterOrEqual("", from, fn)) })
}

// Len implements Index.
func (x *buntIndex) Len() int { return x.len }

// Load sets many pairs in one transaction, much faster than Set one by one: the
// way to fill an index from a snapshot.
func Load(x Index, pairs []Pair) {
	x.Begin()
	defer x.End()
	for i := range pairs {
		x.Set(pairs[i].Key, pairs[i].Value)
	}
}
