package model

import "io"

// BatchRequest is many files to be stored with one group commit per replica, as a
// gateway's edge takes them.
type BatchRequest struct {
	Tenant string
	// Next returns the items one after the other; io.EOF behind the last. Any other
	// error ends the batch: what came before it is stored all the same. An item is done
	// with when Next is called again.
	Next func() (*BatchItem, error)
}

// BatchItem is one file of a batch, or what is wrong with it.
type BatchItem struct {
	Path string // as JoinPath gave it; of a bad item as far as it is known
	Tier Tier   // TierUnset: the path decides
	Size int64  // of Body, exactly
	// Body is read to Size or not at all. An error of it, io.EOF before Size among them, is
	// one of the whole body of the request and ends the batch.
	Body io.Reader
	Err  error // why it cannot be stored; nil: it can
}
