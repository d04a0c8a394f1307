package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag: 4096, 4KiB, 8MiB, 5GiB.
type byteSize int64

// String renders the size as Set reads it.
func (b *byteSize) String() string { return strings.ReplaceAll(sizeName(int64(*b)), " ", "") }

// Set parses a number with an optional binary unit.
func (b *byteSize) Set(text string) error {
	number, unit := text, int64(1)
	for suffix, bytes := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "B": 1} {
		if rest, ok := strings.CutSuffix(text, suffix); ok && bytes >= unit {
			number, unit = rest, bytes
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is no size; write 4096, 4KiB, 8MiB or 5GiB", text)
	}
	*b = byteSize(n * unit)
	return nil
}
