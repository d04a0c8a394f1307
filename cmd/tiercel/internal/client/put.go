package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tiercel/cluster/model"
)

// smallBytes is the size up to which content is read whole, so that its
// checksum travels ahead of it and the server can refuse damage.
const smallBytes = 1 << 20

// Receipt is what a write returned (API.md "Receipt").
type Receipt struct {
	Path           string    `json:"path"`
	Version        uint64    `json:"version"`
	Epoch          string    `json:"epoch"`
	SizeBytes      int64     `json:"size_bytes"`
	ETag           string    `json:"etag"`
	ChecksumCRC32C string    `json:"checksum_crc32c"`
	Tier           TierState `json:"tier"`
	Replicas       []Replica `json:"replicas"`
	VolumeIDs      []uint64  `json:"volume_ids"`
	ModifiedAt     time.Time `json:"modified_at"`
}

// TierState is the tier asked for and what has been achieved.
type TierState struct {
	Asked         *int   `json:"asked"`
	Achieved      int    `json:"achieved"`
	CopiesWanted  int    `json:"copies_wanted"`
	CopiesDurable int    `json:"copies_durable"`
	LimitedBy     string `json:"limited_by,omitempty"` // "license": more copies are not licensed
}

// Replica is one worker that holds the file.
type Replica struct {
	WorkerID string `json:"worker_id"`
	Durable  bool   `json:"durable"`
	InSync   bool   `json:"in_sync"`
}

// Source is content to be stored. Open is called once for each attempt and
// reads from the start; when it can be read only once, Open must fail the
// second time.
type Source struct {
	Size int64 // bytes; -1: unknown, sent chunked
	Open func() (io.ReadCloser, error)
	// Spent says that Open would fail from now on; nil: never.
	Spent func() bool
}

// BytesSource is content in memory.
func BytesSource(p []byte) Source {
	return Source{Size: int64(len(p)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(p)), nil
	}}
}

// ErrReadOnce is what Open answers when asked again for what can be read once.
var ErrReadOnce = errors.New("the content can be read only once, so the upload cannot be tried again")

// PutOptions are the optional parts of a write.
type PutOptions struct {
	Tier        model.Tier        // TierUnset: the path decides
	Meta        map[string]string // X-Meta-*, names without the prefix
	ContentType string
	// Progress is told of bytes sent; a negative count takes back those of an
	// attempt that failed.
	Progress func(bytes int64)
}

// Put stores src at path and returns when the server has it, with a receipt
// whose size and checksum agree with what was sent.
func (c *Client) Put(ctx context.Context, path string, src Source, o PutOptions) (Receipt, error) {
	k, err := putCall(path, o)
	if err != nil {
		return Receipt{}, err
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	if src.Size >= 0 && src.Size <= smallBytes {
		content, err := readSmall(src)
		if err != nil {
			return Receipt{}, model.Errorf(model.CodeInternal, k.op, "%w", err)
		}
		k.header.Set("X-Checksum-Crc32c", encodeChecksum(UpdateChecksum(0, content)))
		src = BytesSource(content)
	}
	var receipt Receipt
	err = c.repeat(ctx, k.op, true, func(int) (bool, error) {
		var err error
		receipt, err = c.putOnce(ctx, *k, src, o.Progress)
		return false, finalIfSpent(err, src)
	})
	return receipt, err
}

// finalIfSpent ends a failure that would be tried again, had the content not been read
// already: why it failed is the reason, not that it cannot be repeated.
func finalIfSpent(err error, src Source) error {
	var f *failure
	if src.Spent == nil || !errors.As(err, &f) || !f.again || !src.Spent() {
		return err
	}
	g, e := *f, *f.err
	e.Message += "; " + ErrReadOnce.Error()
	g.err, g.again = &e, false
	return &g
}

func putCall(path string, o PutOptions) (*call, error) {
	k := &call{op: "put " + path, method: http.MethodPut, path: "/files" + path, header: http.Header{}}
	if err := model.CheckPath(path); err != nil {
		return nil, err
	}
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return nil, model.Errorf(model.CodeInternal, k.op, "cannot draw an idempotency key: %w", err)
	}
	k.header.Set("Idempotency-Key", hex.EncodeToString(key))
	if o.Tier != model.TierUnset {
		k.header.Set("X-Storage-Tier", strconv.Itoa(int(o.Tier)))
	}
	if o.ContentType != "" {
		k.header.Set("Content-Type", o.ContentType)
	}
	for name, value := range o.Meta {
		k.header.Set(textproto.CanonicalMIMEHeaderKey("X-Meta-"+name), value)
	}
	return k, nil
}

func readSmall(src Source) ([]byte, error) {
	r, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content := make([]byte, src.Size)
	if _, err := io.ReadFull(r, content); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errShrunk
		}
		return nil, err
	}
	return content, nil
}

var errShrunk = errors.New("the file became shorter while it was read")

func (c *Client) putOnce(ctx context.Context, k call, src Source, progress func(int64)) (receipt Receipt, err error) {
	ctx, w := newWatch(ctx, c.timeout)
	defer w.stop()
	sent := &sending{size: src.Size, watch: w, progress: progress}
	if src.Size == 0 {
		sent.complete.Store(1 << 32) // nothing will be read; the crc32c of nothing is 0
	}
	k.length = src.Size
	k.body = func() (io.Reader, error) {
		r, err := src.Open()
		if err != nil {
			return nil, model.Errorf(model.CodeInternal, k.op, "%w", err)
		}
		sent.src = r
		return sent, nil
	}
	defer func() {
		if err != nil {
			sent.abandon()
		}
	}()
	resp, err := c.send(ctx, &k)
	if err != nil {
		return Receipt{}, err
	}
	defer resp.Body.Close()
	w.moved()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return Receipt{}, c.transportError(ctx, k.op, err)
	}
	if err := json.Unmarshal(answer, &receipt); err != nil {
		return Receipt{}, model.Errorf(model.CodeInternal, k.op, "the receipt cannot be read: %w", err)
	}
	return receipt, sent.compare(k.op, receipt)
}

// sending is the body of one attempt: it counts, sums and reports what goes
// out. net/http may still read it for a moment after the attempt has failed.
type sending struct {
	src      io.ReadCloser
	size     int64
	watch    *watch
	progress func(int64)

	count    int64
	crc      uint32
	complete atomic.Uint64 // 1<<32 | crc once all has been read
	total    atomic.Int64

	mu        sync.Mutex // guards the two below
	reported  int64
	abandoned bool
}

// Read passes on the source, and turns its end before size into an error: a
// shorter body must never look like a whole one.
func (s *sending) Read(p []byte) (int, error) {
	if s.size >= 0 {
		if s.count == s.size {
			return 0, io.EOF // what a growing file has gained is not part of this upload
		}
		p = p[:min(int64(len(p)), s.size-s.count)]
	}
	n, err := s.src.Read(p)
	s.count += int64(n)
	s.crc = UpdateChecksum(s.crc, p[:n])
	s.total.Store(s.count)
	if n > 0 {
		s.watch.moved()
		s.report(int64(n))
	}
	if s.count == s.size || s.size < 0 && err == io.EOF {
		// Before the last byte is handed out, so that an answer always finds it.
		s.complete.Store(1<<32 | uint64(s.crc))
	}
	switch {
	case err == io.EOF && s.size >= 0 && s.count < s.size:
		return n, &localError{errShrunk}
	case err != nil && err != io.EOF:
		return n, &localError{fmt.Errorf("cannot read the file: %w", err)}
	}
	return n, err
}

// Close closes the source.
func (s *sending) Close() error { return s.src.Close() }

func (s *sending) report(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.abandoned {
		s.reported += n
		s.progress(n)
	}
}

// abandon takes back the progress of a failed attempt.
func (s *sending) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned = true
	s.progress(-s.reported)
}

// compare refuses a receipt that is not for exactly what was sent.
func (s *sending) compare(op string, r Receipt) error {
	state := s.complete.Load()
	switch want := encodeChecksum(uint32(state)); {
	case state == 0:
		return model.Errorf(model.CodeCorrupt, op, "the server answered before all of the content had been sent")
	case r.SizeBytes != s.total.Load():
		return model.Errorf(model.CodeCorrupt, op, "%d bytes were sent, but the receipt says %d", s.total.Load(), r.SizeBytes)
	case r.ChecksumCRC32C != want:
		return model.Errorf(model.CodeCorrupt, op, "the receipt's checksum %q is not that of what was sent, %q; "+
			"what is stored is damaged: put the file again", r.ChecksumCRC32C, want)
	}
	return nil
}
