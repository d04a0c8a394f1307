package catalog

import (
	"strconv"
	"strings"
)

// Keys of the rows; the layout is that of messages/rows.proto, and beside it
// `a` (the applied index) and `g/<manifest>` (the next chunk of a manifest that
// nothing names any more).
const (
	keyApplied = "a"
	keyCluster = "c"

	prefixFile        = "f/"
	prefixJob         = "b/"
	prefixGarbage     = "g/"
	prefixIdempotency = "i/"
	prefixAge         = "j/"
	prefixManifest    = "m/"
	prefixSession     = "s/"
	prefixTenant      = "t/"
	prefixUpload      = "u/"
	prefixVolume      = "v/"
	prefixWorker      = "w/"
)

func fileKey(tenant, path string) string        { return prefixFile + tenant + "\x00" + path }
func tenantKey(tenant string) string            { return prefixTenant + tenant }
func workerKey(node string) string              { return prefixWorker + node }
func idempotencyKey(tenant, key string) string  { return prefixIdempotency + tenant + "\x00" + key }
func ageKey(tenant string, index uint64) string { return agePrefix(tenant) + hex(index, 16) }
func agePrefix(tenant string) string            { return prefixAge + tenant + "\x00" }

// idKey is the key of a row that is named by a number.
func idKey(prefix string, id uint64) string { return prefix + hex(id, 16) }

func manifestKey(id uint64, chunk uint32) string {
	return prefixManifest + hex(id, 16) + "/" + hex(uint64(chunk), 8)
}

// hex renders v with leading zeros, so that byte order is numeric order.
func hex(v uint64, digits int) string {
	const alphabet = "0123456789abcdef"
	var buf [16]byte
	for i := digits - 1; i >= 0; i-- {
		buf[i] = alphabet[v&15]
		v >>= 4
	}
	return string(buf[:digits])
}

// parseHex is the inverse of hex: exactly so many lower-case digits.
func parseHex(s string, digits int) (uint64, bool) {
	if len(s) != digits {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 16, 64)
	return v, err == nil && hex(v, digits) == s
}

// parseManifestKey splits what follows prefixManifest.
func parseManifestKey(rest string) (id uint64, chunk uint32, ok bool) {
	a, b, found := strings.Cut(rest, "/")
	id, okID := parseHex(a, 16)
	n, okChunk := parseHex(b, 8)
	return id, uint32(n), found && okID && okChunk
}
