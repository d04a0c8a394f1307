package httpapi

import (
	"bytes"

	"tiercel/cluster/model"
)

// splitTarget cuts a request target, as it stood on the wire, into its path and
// query, both still percent-encoded. The absolute form (http://host/path) is
// taken too; a fragment has no place in a target and is refused.
func splitTarget(target []byte) (path, query []byte, err error) {
	if bytes.IndexByte(target, '#') >= 0 {
		return nil, nil, badTarget("the request target has a fragment; write a %q in a path as %%23", "#")
	}
	if len(target) > 0 && target[0] != '/' {
		_, rest, absolute := bytes.Cut(target, []byte("://"))
		end := bytes.IndexAny(rest, "/?")
		switch {
		case !absolute && string(target) == "*":
			return target, nil, nil
		case !absolute:
			return nil, nil, badTarget("the request target is neither a path nor a URL")
		case end < 0:
			return []byte("/"), nil, nil
		case rest[end] == '?':
			return []byte("/"), rest[end+1:], nil
		}
		target = rest[end:]
	}
	path, query, _ = bytes.Cut(target, []byte("?"))
	return path, query, nil
}

// decodePath turns the part of the target behind /files into a checked file
// path. It is decoded exactly once (API.md "Paths"), slashes too, and judged
// afterwards: what hides behind an escape is judged like what is written plainly.
func decodePath(raw []byte) (string, error) {
	if len(raw) > 3*model.MaxPathBytes {
		return "", badTarget("the path has %d bytes as written; at most %d are allowed once decoded", len(raw), model.MaxPathBytes)
	}
	var buf [model.MaxPathBytes]byte
	out := buf[:0]
	for i := 0; i < len(raw); i++ {
		b := raw[i]
		if b == '%' {
			var ok bool
			if b, ok = unescape(raw[i:]); !ok {
				return "", badTarget("the path has an invalid percent escape at byte %d; write %q as %%25", i, "%")
			}
			i += 2
		}
		out = append(out, b)
	}
	path := string(out)
	if err := model.CheckPath(path); err != nil {
		return "", err
	}
	return path, nil
}

// unescape reads the escape %XX at the start of s.
func unescape(s []byte) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, ok1 := fromHex(s[1])
	lo, ok2 := fromHex(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func fromHex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func badTarget(format string, args ...any) error {
	return model.Errorf(model.CodeInvalidArgument, "read request target", format, args...)
}
