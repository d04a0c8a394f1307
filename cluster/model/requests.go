package model

import "io"

// PutRequest is one file to be stored, as a gateway's edge takes it.
type PutRequest struct {
	Tenant         string
	Path           string
	Tier           Tier // TierUnset: the path decides
	ContentType    string
	Meta           map[string]string // keys lower-case, without the X-Meta- prefix
	MustNotExist   bool              // If-None-Match: *
	MustExist      bool              // If-Match: *
	Versions       []uint64          // If-Match: versions parsed from ETags; with IfMatch
	IfMatch        bool              // an If-Match header was sent (Versions may be empty: never matches)
	IdempotencyKey string
	Size           int64   // declared length, or -1 when unknown (chunked)
	Checksum       *uint32 // expected crc32c, or nil
	// Body is read once, to its end, in pieces as credit allows. It must return
	// io.ErrUnexpectedEOF when it ends before Size.
	Body io.Reader
}

// RetierRequest asks for one path or all files under a prefix in another tier.
type RetierRequest struct {
	Tenant, Path, Prefix string
	After                string // with Prefix: only behind this path
	Tier                 Tier
}

// RetierResult counts what a retier did. Next is the path to go on behind when
// the request ended before the prefix was done.
type RetierResult struct {
	Moved, Unchanged int
	Bytes            int64
	Failed           []RetierFailure
	Next             string
}

// RetierFailure names one file that stayed where it was, and why.
type RetierFailure struct {
	Path string
	Err  error
}
