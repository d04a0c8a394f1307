package planted

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Share is one of several equal parts of the planted bugs, by their names. The zero
// Share is all of them.
type Share struct{ part, of uint64 }

// ParseShare reads "K/N", 1 ≤ K ≤ N; empty is all.
func ParseShare(text string) (Share, error) {
	if text == "" {
		return Share{}, nil
	}
	k, n, _ := strings.Cut(text, "/")
	part, err1 := strconv.ParseUint(k, 10, 8)
	of, err2 := strconv.ParseUint(n, 10, 8)
	if err1 != nil || err2 != nil || part < 1 || part > of {
		return Share{}, fmt.Errorf("PLANTED_SHARE=%s is no share such as 2/4", text)
	}
	return Share{part - 1, of}, nil
}

// Has reports whether the bug of a name is in the share.
func (s Share) Has(name string) bool {
	if s.of == 0 {
		return true
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return h.Sum64()%s.of == s.part
}
