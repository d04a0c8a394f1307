package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var byteUnits = []struct {
	suffix string
	factor float64
}{
	// Longer suffixes first: "KiB" before "B".
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40}, {"PIB", 1 << 50},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15},
	{"B", 1}, {"", 1},
}

// ParseBytes reads a size such as 1048576, 10GiB, 1.5TB or "64 MiB". KiB, MiB
// and so on are powers of 1024; kB, MB and so on powers of 1000; case does not
// matter. A bare K or M is refused, because people mean both by it.
func ParseBytes(text string) (int64, error) {
	upper := strings.ToUpper(strings.TrimSpace(text))
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(upper, u.suffix)
		if !ok {
			continue
		}
		number = strings.TrimSpace(number)
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && u.factor == 1 && n >= 0 {
			return n, nil
		}
		f, err := strconv.ParseFloat(number, 64)
		switch {
		case err != nil || math.IsNaN(f) || f < 0 || strings.ContainsAny(number, "XPEIN_"):
			return 0, badBytes(text)
		case f*u.factor >= math.MaxInt64:
			return 0, fmt.Errorf("%q is more than a file system can have", text)
		case u.factor == 1 && f != math.Trunc(f), f > 0 && f*u.factor < 1:
			return 0, fmt.Errorf("%q is a part of a byte; write whole bytes, or a larger number", text)
		}
		return int64(f * u.factor), nil
	}
	return 0, badBytes(text)
}

// ParseRate reads bytes a second: a size, with or without /s.
func ParseRate(text string) (int64, error) {
	bare := strings.TrimSuffix(strings.TrimSpace(text), "/s")
	n, err := ParseBytes(bare)
	if err != nil {
		return 0, fmt.Errorf("%w, for each second: 50MiB/s", err)
	}
	return n, nil
}

func badBytes(text string) error {
	return fmt.Errorf("%q is not a size; write bytes, or a number with KiB, MiB, GiB, TiB, kB, MB, GB or TB", text)
}

// FormatBytes renders n for a person: 1536 as 1.5 KiB.
func FormatBytes(n int64) string {
	const units = "KMGTPE"
	if n > -1024 && n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n)/1024, 0
	for math.Abs(f) >= 999.95 && unit < len(units)-1 {
		f /= 1024
		unit++
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + units[unit:unit+1] + "iB"
}
