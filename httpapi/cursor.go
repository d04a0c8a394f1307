package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"tiercel/cluster/model"
)

// maxTenantPlace is how much longer a place is that names the tenant too.
const maxTenantPlace = 128

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A cursor is the place a listing goes on from, opaque to clients: unpadded
// base64url of a crc32c (4 bytes, big-endian) and the place. The sum covers the
// listing's tenant, prefix and delimiter too, so that a cursor of another
// listing, or one cut short, is refused instead of giving a wrong page.

func encodeCursor(tenant, prefix, delimiter, place string) string {
	buf := binary.BigEndian.AppendUint32(nil, cursorSum(tenant, prefix, delimiter, place))
	return base64.RawURLEncoding.EncodeToString(append(buf, place...))
}

func decodeCursor(cursor, tenant, prefix, delimiter string) (place string, err error) {
	const longest = 4 + model.MaxPathBytes + 8 + maxTenantPlace                                           // a gateway may mark a place behind a prefix, or in the files of a tenant
	if len(cursor) <= base64.RawURLEncoding.EncodedLen(longest) && !strings.ContainsAny(cursor, "\r\n") { // the decoder passes over them
		raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
		if err == nil && len(raw) > 4 {
			place = string(raw[4:])
			if binary.BigEndian.Uint32(raw) == cursorSum(tenant, prefix, delimiter, place) {
				return place, nil
			}
		}
	}
	return "", model.Errorf(model.CodeInvalidArgument, "list",
		"the cursor is not one of this listing; send next_cursor as it came, with the same parameters, or none to begin")
}

func cursorSum(parts ...string) uint32 {
	sum := crc32.New(castagnoli)
	for _, p := range parts {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(p)))
		sum.Write(size[:])
		sum.Write([]byte(p))
	}
	return sum.Sum32()
}

// checkDelimiter accepts none and "/".
func checkDelimiter(delimiter string) error {
	if delimiter == "" || delimiter == "/" {
		return nil
	}
	if n := utf8.RuneCountInString(delimiter); n != 1 {
		return model.Errorf(model.CodeInvalidArgument, "list", "the delimiter has %d characters; it is \"/\" or absent", n)
	}
	return model.Errorf(model.CodeInvalidArgument, "list", "the delimiter %q is not supported; it is \"/\" or absent", delimiter)
}
