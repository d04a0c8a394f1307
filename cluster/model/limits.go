package model

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on everything a client may send. Each refusal names the limit.
const (
	MaxPathBytes           = 1024    // API.md "Paths"
	MaxTenantBytes         = 63      // API.md "Tenant"
	MaxContentBytes        = 5 << 40 // 5 TiB
	MaxMetaEntries         = 64      // X-Meta-* headers on one file
	MaxMetaBytes           = 8 << 10 // names and values together
	MaxContentTypeBytes    = 256
	MaxIdempotencyKeyBytes = 256
	MaxListLimit           = 1000
	MaxExtentBytes         = 8 << 20 // a larger body is cut, DESIGN "Volumes"
	MaxCommandBytes        = 512 << 10
)

// Limits of batches (API.md "POST /batch"). What exceeds them comes in several requests.
const (
	MaxBatchItems      = 10_000  // of one request, bad ones included
	MaxBatchBytes      = 1 << 30 // of its body, framing included
	MaxBatchGroupItems = 1024    // that travel together, and share a group commit
	MaxBatchReadPaths  = 10_000  // of one POST /batch/read
)

// DefaultTenant is the tenant of a request that names none.
const DefaultTenant = "default"

// SystemTenant owns what the cluster keeps for itself: catalog checkpoints and the
// commit journal. CheckTenant refuses it, so no client can name it.
const SystemTenant = "_tiercel"

// CheckPath refuses what is not a canonical absolute file path: UTF-8, up to
// MaxPathBytes, begins with "/", no empty, "." or ".." segment (so no trailing
// slash), no control characters. The path is already percent-decoded, once.
func CheckPath(path string) error {
	const op = "check path"
	switch {
	case path == "" || path[0] != '/':
		return Errorf(CodeInvalidArgument, op, "the path must start with %q", "/")
	case len(path) > MaxPathBytes:
		return Errorf(CodeInvalidArgument, op, "the path has %d bytes; at most %d are allowed", len(path), MaxPathBytes)
	}
	return checkSegments(op, path[1:], path)
}

// JoinPath puts a path of a batch behind the prefix of its request and checks the whole.
// The prefix is a directory, with or without a slash at its end ("" and "/" are the root);
// the path may begin with a slash, which is then the same place: no path leads out of
// the prefix.
func JoinPath(prefix, path string) (string, error) {
	if path == "" || path == "/" {
		return "", Errorf(CodeInvalidArgument, "check path", "the path is empty")
	}
	if len(path) > MaxPathBytes { // said of what was sent, not of what would come of it
		return "", Errorf(CodeInvalidArgument, "check path", "the path has %d bytes; at most %d are allowed", len(path), MaxPathBytes)
	}
	joined := strings.TrimSuffix(prefix, "/") + "/" + strings.TrimPrefix(path, "/")
	return joined, CheckPath(joined)
}

// CheckPrefix refuses what no path could begin with. An empty prefix is all
// files; a prefix may end inside a segment or with a slash.
func CheckPrefix(prefix string) error {
	const op = "check prefix"
	switch {
	case prefix == "" || prefix == "/":
		return nil
	case prefix[0] != '/':
		return Errorf(CodeInvalidArgument, op, "the prefix must start with %q", "/")
	case len(prefix) > MaxPathBytes:
		return Errorf(CodeInvalidArgument, op, "the prefix has %d bytes; at most %d are allowed", len(prefix), MaxPathBytes)
	}
	body := strings.TrimSuffix(prefix[1:], "/")
	// The last, unfinished segment may be "." or "..": files may begin so (".gitignore").
	if i := strings.LastIndexByte(body, '/'); !strings.HasSuffix(prefix, "/") && (body[i+1:] == "." || body[i+1:] == "..") {
		if i < 0 {
			return nil
		}
		body = body[:i]
	}
	return checkSegments(op, body, prefix)
}

func checkSegments(op, body, whole string) error {
	if !utf8.ValidString(whole) {
		return Errorf(CodeInvalidArgument, op, "the path is not valid UTF-8")
	}
	for _, r := range whole {
		if unicode.IsControl(r) {
			return Errorf(CodeInvalidArgument, op, "the path has a control character (U+%04X)", r)
		}
	}
	for seg := range strings.SplitSeq(body, "/") {
		switch seg {
		case "":
			return Errorf(CodeInvalidArgument, op, "the path has an empty segment; write each %q once and none at the end", "/")
		case ".", "..":
			return Errorf(CodeInvalidArgument, op, "the path has a %q segment; send the path already resolved", seg)
		}
	}
	return nil
}

// CheckTenant refuses what is not [a-z0-9][a-z0-9_-]{0,62}.
func CheckTenant(tenant string) error {
	ok := len(tenant) >= 1 && len(tenant) <= MaxTenantBytes
	for i := 0; ok && i < len(tenant); i++ {
		c := tenant[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		ok = alnum || i > 0 && (c == '_' || c == '-')
	}
	if !ok {
		return Errorf(CodeInvalidArgument, "check tenant",
			"the tenant must be 1 to %d of a-z, 0-9, _ and -, and start with a letter or digit", MaxTenantBytes)
	}
	return nil
}
