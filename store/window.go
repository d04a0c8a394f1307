package store

import "io"

// windowBytes is how much a window reads ahead.
const windowBytes = 1 << 20

// window reads a file front to back through one buffer, which grows only to
// what need asks for.
type window struct {
	r    io.ReaderAt
	size int64 // bytes beyond it are not read
	buf  []byte
	at   int64 // file offset of buf[0]
}

func newWindow(r io.ReaderAt, size int64) *window { return &window{r: r, size: size} }

// need returns n bytes at off, or fewer at the end of the file. The slice is
// valid until the next call. Limits on n are the caller's.
func (w *window) need(off int64, n int) ([]byte, error) {
	if off >= w.size {
		return nil, nil
	}
	n = int(min(int64(n), w.size-off))
	if off >= w.at && off+int64(n) <= w.at+int64(len(w.buf)) {
		return w.buf[off-w.at:][:n], nil
	}
	// Keep what is already here and follows off.
	kept := 0
	if off >= w.at && off < w.at+int64(len(w.buf)) {
		kept = copy(w.buf, w.buf[off-w.at:])
	}
	want := int(min(int64(max(n, windowBytes)), w.size-off))
	if cap(w.buf) < want {
		grown := make([]byte, want)
		copy(grown, w.buf[:kept])
		w.buf = grown
	}
	w.buf, w.at = w.buf[:want], off
	if err := readFull(w.r, w.buf[kept:], off+int64(kept)); err != nil {
		w.buf = w.buf[:0]
		return nil, err
	}
	return w.buf[:n], nil
}
