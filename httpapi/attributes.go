package httpapi

import (
	"unicode"
	"unicode/utf8"

	"tiercel/cluster/model"
)

// The readers of single headers. Each takes the raw value, nil when the header
// was not sent, and refuses with invalid_argument.

func readTenant(value []byte) (string, error) {
	if value == nil || string(value) == model.DefaultTenant {
		return model.DefaultTenant, nil
	}
	tenant := string(value)
	return tenant, model.CheckTenant(tenant)
}

func readTier(value []byte) (model.Tier, error) {
	switch {
	case value == nil:
		return model.TierUnset, nil
	case len(value) == 1 && value[0] >= '1' && value[0] <= '3':
		return model.Tier(value[0] - '0'), nil
	}
	return 0, badHeader("the X-Storage-Tier %q is unknown; it is 1 (critical), 2 (important) or 3 (rebuildable)", clip(string(value)))
}

func readContentType(value []byte) (string, error) {
	if len(value) > model.MaxContentTypeBytes {
		return "", badHeader("the Content-Type has %d bytes; at most %d are allowed", len(value), model.MaxContentTypeBytes)
	}
	if !isVisibleASCII(value, true) {
		return "", badHeader("the Content-Type must be printable ASCII")
	}
	return string(value), nil
}

func readIdempotencyKey(value []byte) (string, error) {
	switch {
	case value == nil:
		return "", nil
	case len(value) == 0 || len(value) > model.MaxIdempotencyKeyBytes:
		return "", badHeader("the Idempotency-Key must have 1 to %d bytes, not %d", model.MaxIdempotencyKeyBytes, len(value))
	case !isVisibleASCII(value, false):
		return "", badHeader("the Idempotency-Key must be printable ASCII without spaces")
	}
	return string(value), nil
}

// readMeta makes the metadata of a file of its X-Meta-* headers. Names are made
// lower case; values are UTF-8 without control characters.
func readMeta(fields []metaField) (map[string]string, error) {
	if len(fields) == 0 {
		return nil, nil
	}
	if len(fields) > model.MaxMetaEntries {
		return nil, badHeader("the request has %d X-Meta headers; at most %d are allowed", len(fields), model.MaxMetaEntries)
	}
	meta := make(map[string]string, len(fields))
	total := 0
	for _, f := range fields {
		name := string(appendLower(nil, f.name))
		if total += len(name) + len(f.value); total > model.MaxMetaBytes {
			return nil, badHeader("the X-Meta headers have more than %d bytes in all", model.MaxMetaBytes)
		}
		if !isCleanText(f.value) {
			return nil, badHeader("the header X-Meta-%s must be UTF-8 without control characters", clip(name))
		}
		if _, twice := meta[name]; twice {
			return nil, badHeader("the header X-Meta-%s is given more than once", clip(name))
		}
		meta[name] = string(f.value)
	}
	return meta, nil
}

// maxRequestIDBytes bounds a request id that a client may choose.
const maxRequestIDBytes = 128

// saneRequestID reports whether a client's request id can go into logs and
// answers as it is.
func saneRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > maxRequestIDBytes {
		return false
	}
	for _, c := range id {
		if !isTokenByte[c] && c != ':' && c != '/' && c != '=' && c != '@' {
			return false
		}
	}
	return true
}

func isVisibleASCII(s []byte, space bool) bool {
	for _, c := range s {
		if c < ' ' || c == ' ' && !space || c >= 0x7f {
			return false
		}
	}
	return true
}

func isCleanText(s []byte) bool {
	for len(s) > 0 {
		if s[0] < utf8.RuneSelf {
			if s[0] < ' ' || s[0] == 0x7f {
				return false
			}
			s = s[1:]
			continue
		}
		r, size := utf8.DecodeRune(s)
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) {
			return false
		}
		s = s[size:]
	}
	return true
}
