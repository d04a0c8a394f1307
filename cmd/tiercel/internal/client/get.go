package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tiercel/cluster/model"
)

// maxRestarts bounds how often one download begins anew because the file was
// replaced meanwhile.
const maxRestarts = 5

// Info is what the headers of a file say.
type Info struct {
	SizeBytes      int64
	ETag           string
	ChecksumCRC32C string
	Tier           string
	Version        string
	ModifiedAt     time.Time
}

// Sink takes a download in order. Restart discards what has been written, to
// begin again with another version of the file; an error ends the download.
type Sink interface {
	io.Writer
	Restart() error
}

// Resume says what a sink already holds: the first Bytes of the version ETag,
// whose crc32c is CRC. The zero value: nothing.
type Resume struct {
	Bytes int64
	ETag  string
	CRC   uint32
}

// Get writes the content at path to sink and returns when all of it is there
// and its checksum agrees. After a broken connection it goes on where it
// stopped, provided that the file is still the same version. progress, when
// not nil, is told of bytes written; a negative count takes back what a
// restart discarded.
func (c *Client) Get(ctx context.Context, path string, sink Sink, from Resume, progress func(int64)) (Info, error) {
	op := "get " + path
	if err := model.CheckPath(path); err != nil {
		return Info{}, err
	}
	if progress == nil {
		progress = func(int64) {}
	}
	d := &download{c: c, op: op, path: path, sink: sink, at: from, progress: progress}
	progress(from.Bytes)
	err := c.repeat(ctx, op, true, func(int) (bool, error) {
		before := d.at.Bytes
		err := d.attempt(ctx)
		return d.at.Bytes > before, err
	})
	if err != nil {
		return Info{}, err
	}
	return d.info, nil
}

// download is the state that survives from one attempt to the next.
type download struct {
	c        *Client
	op, path string
	sink     Sink
	at       Resume
	info     Info
	restarts int
	progress func(int64)
}

// attempt asks for what is missing, and begins anew as often as the file turns
// out to be another version.
func (d *download) attempt(ctx context.Context) error {
	for {
		err := d.once(ctx)
		if !errors.Is(err, errChanged) {
			return err
		}
		d.restarts++
		if d.restarts > maxRestarts {
			return model.Errorf(model.CodeConflict, d.op, "the file was replaced %d times while it was read", d.restarts)
		}
		if err := d.sink.Restart(); err != nil {
			return model.Errorf(model.CodeConflict, d.op, "the file was replaced while it was read: %w", err)
		}
		d.progress(-d.at.Bytes)
		d.at = Resume{}
	}
}

var errChanged = errors.New("the file is another version now")

func (d *download) once(ctx context.Context) error {
	ctx, w := newWatch(ctx, d.c.timeout)
	defer w.stop()
	k := &call{op: d.op, method: http.MethodGet, path: "/files" + d.path, header: http.Header{}}
	if d.at.Bytes > 0 {
		k.header.Set("Range", "bytes="+strconv.FormatInt(d.at.Bytes, 10)+"-")
		k.header.Set("If-Match", d.at.ETag)
	}
	resp, err := d.c.send(ctx, k)
	if err != nil {
		code := model.CodeOf(err)
		if d.at.Bytes > 0 && (code == model.CodePreconditionFailed || code == model.CodeRangeNotSatisfiable) {
			return errChanged
		}
		return err
	}
	defer resp.Body.Close()
	if err := d.begin(resp); err != nil {
		return err
	}
	if err := d.copy(ctx, w, resp.Body); err != nil {
		return err
	}
	return d.verify()
}

// begin checks that the answer continues what the sink holds.
func (d *download) begin(resp *http.Response) error {
	info, err := infoOf(d.op, resp)
	if err != nil {
		return err
	}
	if d.at.Bytes > 0 {
		if resp.StatusCode != http.StatusPartialContent || info.ETag != d.at.ETag {
			return errChanged
		}
		var from, to, total int64
		n, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total)
		if err != nil || n != 3 || from != d.at.Bytes || to != total-1 {
			return model.Errorf(model.CodeInternal, d.op, "asked from byte %d on, the server answered Content-Range %q",
				d.at.Bytes, resp.Header.Get("Content-Range"))
		}
		info.SizeBytes = total
	} else if resp.StatusCode != http.StatusOK {
		return model.Errorf(model.CodeInternal, d.op, "asked for the whole file, the server answered %q", resp.Status)
	}
	d.info, d.at.ETag = info, info.ETag
	return nil
}

func (d *download) copy(ctx context.Context, w *watch, body io.Reader) error {
	buffer := make([]byte, min(copyBufferBytes, max(512, d.info.SizeBytes-d.at.Bytes+1)))
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			w.moved()
			written, werr := d.sink.Write(buffer[:n])
			d.at.CRC = UpdateChecksum(d.at.CRC, buffer[:written])
			d.at.Bytes += int64(written)
			d.progress(int64(written))
			if werr != nil {
				return d.c.transportError(ctx, d.op, &localError{werr})
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return d.c.transportError(ctx, d.op, err)
		}
	}
	if d.at.Bytes < d.info.SizeBytes {
		return d.c.transportError(ctx, d.op, io.ErrUnexpectedEOF)
	}
	return nil
}

func (d *download) verify() error {
	got := encodeChecksum(d.at.CRC)
	switch {
	case d.at.Bytes != d.info.SizeBytes:
		return model.Errorf(model.CodeCorrupt, d.op, "%d bytes came of a file of %d", d.at.Bytes, d.info.SizeBytes)
	case d.info.ChecksumCRC32C == "":
		return model.Errorf(model.CodeCorrupt, d.op, "the server sent no X-Checksum-Crc32c, so the content cannot be verified")
	case d.info.ChecksumCRC32C != got:
		return model.Errorf(model.CodeCorrupt, d.op, "the content's checksum is %q, it should be %q; it was damaged on the way or in the store",
			got, d.info.ChecksumCRC32C)
	}
	return nil
}

// Head returns what the headers of path say; not_found if there is no file.
func (c *Client) Head(ctx context.Context, path string) (Info, error) {
	k := &call{op: "look up " + path, method: http.MethodHead, path: "/files" + path}
	var info Info
	err := c.simple(ctx, k, true, func(resp *http.Response) error {
		var err error
		info, err = infoOf(k.op, resp)
		return err
	})
	return info, err
}

func infoOf(op string, resp *http.Response) (Info, error) {
	h := resp.Header
	info := Info{
		SizeBytes: resp.ContentLength, ETag: h.Get("ETag"), ChecksumCRC32C: h.Get("X-Checksum-Crc32c"),
		Tier: h.Get("X-Storage-Tier"), Version: h.Get("X-Storage-Version"),
	}
	if at, err := http.ParseTime(h.Get("Last-Modified")); err == nil {
		info.ModifiedAt = at
	}
	if info.SizeBytes < 0 || strings.TrimSpace(info.ETag) == "" {
		return Info{}, model.Errorf(model.CodeInternal, op, "the answer has no Content-Length or no ETag; is this a Tiercel server?")
	}
	return info, nil
}
