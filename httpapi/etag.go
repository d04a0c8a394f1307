package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// appendETag appends the entity tag of a version of a file, quotes included:
// "<version, hexadecimal>-<crc32c of the content, 8 hexadecimal digits>".
func appendETag(dst []byte, version uint64, crc32c uint32) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendUint(dst, version, 16)
	dst = append(dst, '-')
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[crc32c>>shift&15])
	}
	return append(dst, '"')
}

// entityTag is one member of If-Match or If-None-Match. ours is false for a tag
// this system never gave: it is well formed and matches nothing.
type entityTag struct {
	weak    bool
	ours    bool
	version uint64
	crc32c  uint32
}

// is reports whether the tag names this version of a file.
func (t entityTag) is(row *messages.FileRow) bool {
	return t.ours && t.version == row.Version && t.crc32c == row.Crc32C
}

// tagList is a parsed If-Match, If-None-Match or If-Range field.
type tagList struct {
	given bool // the header was sent
	any   bool // "*"
	tags  []entityTag
}

// matches reports whether the list holds the tag of row; weak tags count only
// in a weak comparison (RFC 9110, 8.8.3.2).
func (l tagList) matches(row *messages.FileRow, weak bool) bool {
	if l.any {
		return true
	}
	for _, t := range l.tags {
		if t.is(row) && (weak || !t.weak) {
			return true
		}
	}
	return false
}

// maxTags bounds the members of one conditional header.
const maxTags = 100

// parseTagList reads "*" or a comma-separated list of entity tags. Empty
// members are skipped, as RFC 9110 5.6.1 asks of a recipient. A nil value is
// a header that was not sent.
func parseTagList(header string, value []byte) (tagList, error) {
	if value == nil {
		return tagList{}, nil
	}
	list := tagList{given: true}
	rest := trimOWS(value)
	if string(rest) == "*" {
		list.any = true
		return list, nil
	}
	for {
		rest = trimOWS(rest)
		if len(rest) > 0 && rest[0] == ',' {
			rest = rest[1:]
			continue
		}
		if len(rest) == 0 {
			break
		}
		tag, after, ok := cutTag(rest)
		if !ok {
			return tagList{}, badTag("%s must be \"*\" or a list of quoted entity tags", header)
		}
		if rest = trimOWS(after); len(rest) > 0 && rest[0] != ',' {
			return tagList{}, badTag("%s needs a comma between its entity tags", header)
		}
		if list.tags = append(list.tags, tag); len(list.tags) > maxTags {
			return tagList{}, badTag("%s has more than %d entity tags", header, maxTags)
		}
	}
	if len(list.tags) == 0 {
		return tagList{}, badTag("%s is empty", header)
	}
	return list, nil
}

// cutTag reads one entity tag, [W/]"etagc*", from the start of s.
func cutTag(s []byte) (tag entityTag, rest []byte, ok bool) {
	if len(s) >= 2 && s[0] == 'W' && s[1] == '/' {
		tag.weak = true
		s = s[2:]
	}
	if len(s) < 2 || s[0] != '"' {
		return tag, nil, false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			tag.version, tag.crc32c, tag.ours = parseOurTag(s[1:i])
			return tag, s[i+1:], true
		case c < 0x21 || c == 0x7f:
			return tag, nil, false
		}
	}
	return tag, nil, false
}

// parseOurTag reads the opaque part of a tag as appendETag wrote it, and nothing
// else: a tag in capitals or with leading zeros was never given.
func parseOurTag(s []byte) (version uint64, crc32c uint32, ok bool) {
	n := len(s) - 9
	if n < 1 || n > 16 || s[n] != '-' || s[0] == '0' {
		return 0, 0, false
	}
	for i, c := range s {
		if i == n {
			continue
		}
		digit, hex := fromHex(c)
		if !hex || c >= 'A' && c <= 'F' {
			return 0, 0, false
		}
		if i < n {
			version = version<<4 | uint64(digit)
		} else {
			crc32c = crc32c<<4 | uint32(digit)
		}
	}
	return version, crc32c, true
}

// appendChecksum appends a crc32c as X-Checksum-Crc32c writes it: base64 of its
// four bytes, the most significant first.
func appendChecksum(dst []byte, crc32c uint32) []byte {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc32c)
	return base64.StdEncoding.AppendEncode(dst, b[:])
}

// parseChecksum reads what appendChecksum writes.
func parseChecksum(value []byte) (uint32, error) {
	var b [6]byte
	if len(value) == 8 {
		n, err := base64.StdEncoding.Strict().Decode(b[:], value)
		if err == nil && n == 4 {
			return binary.BigEndian.Uint32(b[:]), nil
		}
	}
	return 0, model.Errorf(model.CodeInvalidArgument, "read headers",
		"X-Checksum-Crc32c must be the base64 of 4 bytes, the most significant first, like \"AAAAAA==\"")
}

func badTag(format string, args ...any) error {
	return model.Errorf(model.CodeInvalidArgument, "read conditions", format, args...)
}
