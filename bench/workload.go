package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
)

// fileSet is files of one size under one prefix, named and filled by number, so
// that any of them can be made again and compared.
type fileSet struct {
	prefix string // "/bench/r1/": begins and ends with a slash
	size   int
	tier   int // 0: as the path says
	spread int // directories that the files are spread over
	block  []byte
}

// newFileSet makes the content that all files of the set share but for a stamp.
func newFileSet(prefix string, size, tier, spread int) *fileSet {
	s := &fileSet{prefix: prefix, size: size, tier: tier, spread: max(spread, 1), block: make([]byte, size)}
	fillRandom(s.block, 1)
	return s
}

// fillRandom fills b with bytes that do not compress.
func fillRandom(b []byte, seed uint64) {
	source := rand.NewPCG(seed, 0)
	var word [8]byte
	for len(b) > 0 {
		binary.LittleEndian.PutUint64(word[:], source.Uint64())
		b = b[copy(b, word[:]):]
	}
}

const filesRoute = "/api/v1/storage/files"

// path is the request path of file n.
func (s *fileSet) path(n uint64) string {
	return filesRoute + s.prefix + "d" + strconv.FormatUint(n%uint64(s.spread), 10) + "/f" + strconv.FormatUint(n, 10)
}

// header asks for the tier of the set.
func (s *fileSet) header() string {
	if s.tier == 0 {
		return ""
	}
	return "X-Storage-Tier: " + strconv.Itoa(s.tier) + "\r\n"
}

// stamp makes buf, of the set's size and filled once with the block, the content
// of file n: its number stands at the front.
func (s *fileSet) stamp(buf []byte, n uint64) {
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], n)
	copy(buf, number[:])
}

// verify compares content with what file n must hold.
func (s *fileSet) verify(content []byte, n uint64) error {
	if len(content) != s.size {
		return fmt.Errorf("file %d has %d bytes, not %d", n, len(content), s.size)
	}
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], n)
	at := min(len(number), s.size)
	if !bytes.Equal(content[:at], number[:at]) {
		return fmt.Errorf("file %d holds the content of another", n)
	}
	if got, want := crc32.Checksum(content[at:], castagnoli), crc32.Checksum(s.block[at:], castagnoli); got != want {
		return fmt.Errorf("file %d has crc32c %08x, not %08x", n, got, want)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// operation does one thing on a worker's connection. It returns the content
// bytes moved, and the code of a failure ("" when the answer was right).
type operation func(w *worker, n uint64) (moved int64, code string)

// put stores file n. Numbers of acknowledged files are kept for later reads.
func put(s *fileSet) operation {
	header := s.header()
	return func(w *worker, n uint64) (int64, string) {
		body := w.content(s)
		s.stamp(body, n)
		a, err := w.conn.do(request{method: "PUT", path: s.path(n), header: header, body: body})
		if code := failure(a, err, 201, 200); code != "" {
			return 0, code
		}
		w.stored = append(w.stored, n)
		return int64(s.size), ""
	}
}

// get reads stored files at random and verifies every verifyEvery-th.
func get(s *fileSet, stored []uint64, verifyEvery uint64) operation {
	return func(w *worker, n uint64) (int64, string) {
		target := stored[w.random.Uint64N(uint64(len(stored)))]
		a, err := w.conn.do(request{method: "GET", path: s.path(target)})
		if code := failure(a, err, 200); code != "" {
			return 0, code
		}
		if a.length != int64(s.size) {
			return 0, codeWrongContent
		}
		if n%verifyEvery == 0 && s.verify(a.body, target) != nil {
			return 0, codeWrongContent
		}
		return a.length, ""
	}
}

// mixed reads three times out of four and stores otherwise.
func mixed(s *fileSet, stored []uint64, verifyEvery uint64) operation {
	read, write := get(s, stored, verifyEvery), put(s)
	return func(w *worker, n uint64) (int64, string) {
		if w.random.Uint64N(4) > 0 {
			return read(w, n)
		}
		return write(w, n)
	}
}

// remove deletes each stored file once; n runs over them. A deletion moves no content.
func remove(s *fileSet, stored []uint64) operation {
	return func(w *worker, n uint64) (int64, string) {
		a, err := w.conn.do(request{method: "DELETE", path: s.path(stored[n])})
		return 0, failure(a, err, 204)
	}
}

// list reads pages of 100 files, each the first of a directory that holds a
// stored file drawn at random.
func list(s *fileSet, stored []uint64) operation {
	return func(w *worker, _ uint64) (int64, string) {
		dir := stored[w.random.Uint64N(uint64(len(stored)))] % uint64(s.spread)
		path := filesRoute + "?limit=100&prefix=" + s.prefix + "d" + strconv.FormatUint(dir, 10) + "/"
		a, err := w.conn.do(request{method: "GET", path: path})
		if code := failure(a, err, 200); code != "" {
			return 0, code
		}
		if !bytes.Contains(a.body, []byte(`"path"`)) {
			return 0, codeWrongContent
		}
		return a.length, ""
	}
}

// Codes of failures that the server did not name.
const (
	codeNoAnswer     = "no_answer"
	codeWrongContent = "wrong_content"
)

// failure names what went wrong: the code of the error answer, or the status.
func failure(a answer, err error, wanted ...int) string {
	if err != nil {
		return codeNoAnswer
	}
	for _, status := range wanted {
		if a.status == status {
			return ""
		}
	}
	_, rest, found := bytes.Cut(a.body, []byte(`"code":"`))
	if code, _, closed := bytes.Cut(rest, []byte(`"`)); found && closed {
		return string(code)
	}
	return "status_" + strconv.Itoa(a.status)
}
