package httpapi

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"

	"tiercel/cluster/model"
)

const (
	// maxRanges bounds the ranges of one request.
	maxRanges = 100
	// rangeGapBytes is about what the header of one part costs: ranges nearer
	// than that, once some overlap, are sent as one.
	rangeGapBytes = 80
)

// span is the bytes [from, to) of a file.
type span struct{ from, to int64 }

func (s span) bytes() int64 { return s.to - s.from }

// parseRange reads a Range header against a file of size bytes. No spans and no
// error: the whole file is to be sent (no header, another unit than bytes, or an
// empty file, for which clients that always ask for a range mean all of it).
// A malformed header is invalid_argument, though RFC 9110 would ignore it: half
// a file in place of a piece of it helps nobody. No range within the file is
// range_not_satisfiable.
func parseRange(value []byte, size int64) ([]span, error) {
	unit, list, found := bytes.Cut(value, []byte("="))
	if value == nil || found && isToken(unit) && !equalFold(unit, "bytes") {
		return nil, nil
	}
	if !found || !equalFold(unit, "bytes") {
		return nil, badRange()
	}
	var spans []span
	count := 0
	for len(list) > 0 {
		var spec []byte
		spec, list, _ = bytes.Cut(list, []byte(","))
		if spec = trimOWS(spec); len(spec) == 0 {
			continue
		}
		if count++; count > maxRanges {
			return nil, model.Errorf(model.CodeInvalidArgument, "read range", "the Range header has more than %d ranges", maxRanges)
		}
		s, within, ok := parseRangeSpec(spec, size)
		if !ok {
			return nil, badRange()
		}
		if within {
			spans = append(spans, s)
		}
	}
	switch {
	case count == 0:
		return nil, badRange()
	case size == 0:
		return nil, nil
	case len(spans) == 0:
		return nil, model.Errorf(model.CodeRangeNotSatisfiable, "read range",
			"no byte of the range is within the file, which has %d", size).With("size_bytes", strconv.FormatInt(size, 10))
	}
	return coalesce(spans), nil
}

// parseRangeSpec reads first-last, first- or -suffix. within is false for a
// range that is well formed and outside the file.
func parseRangeSpec(spec []byte, size int64) (s span, within, ok bool) {
	first, last, found := bytes.Cut(spec, []byte("-"))
	if !found {
		return s, false, false
	}
	if len(first) == 0 {
		n, ok := parseOffset(last)
		n = min(n, size)
		return span{size - n, size}, n > 0, ok
	}
	from, ok := parseOffset(first)
	if !ok {
		return s, false, false
	}
	to := size
	if len(last) > 0 {
		end, ok := parseOffset(last)
		if !ok || end < from {
			return s, false, false
		}
		if end < size {
			to = end + 1
		}
	}
	return span{from, to}, from < size, true
}

// parseOffset reads decimal digits; more than an int64 holds is the largest one.
func parseOffset(s []byte) (int64, bool) {
	if len(s) == 0 {
		return 0, false
	}
	var v int64
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		if digit := int64(c - '0'); v > (math.MaxInt64-digit)/10 {
			v = math.MaxInt64
		} else {
			v = v*10 + digit
		}
	}
	return v, true
}

// coalesce leaves spans in the order asked for unless some overlap; then they
// are sorted and those that overlap or nearly touch are joined, so that no
// request makes us send a byte twice.
func coalesce(spans []span) []span {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b span) int {
		if a.from != b.from {
			return cmp.Compare(a.from, b.from)
		}
		return cmp.Compare(a.to, b.to)
	})
	overlap := false
	for i := 1; i < len(sorted); i++ {
		overlap = overlap || sorted[i].from < sorted[i-1].to
	}
	if !overlap {
		return spans
	}
	out := sorted[:1]
	for _, s := range sorted[1:] {
		if last := &out[len(out)-1]; s.from <= last.to+rangeGapBytes {
			last.to = max(last.to, s.to)
		} else {
			out = append(out, s)
		}
	}
	return out
}

func isToken(s []byte) bool {
	for _, c := range s {
		if !isTokenByte[c] {
			return false
		}
	}
	return len(s) > 0
}

func badRange() error {
	return model.Errorf(model.CodeInvalidArgument, "read range",
		"the Range header is malformed; write bytes=first-last, bytes=first- or bytes=-last_n, separated by commas")
}
