package archive

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// LostFound is where a recovery puts what the recovered catalog does not know.
const LostFound = "/lost+found"

// LostPath is the path of a record, or of an upload by its id, under LostFound: that of
// the write, with what makes it unique behind it. A path that would become too long
// loses its end; the metadata has it whole.
func LostPath(generation uint64, original string, volume, offset uint64, part uint32) string {
	suffix := fmt.Sprintf("~%d-%d", volume, offset)
	if part > 0 {
		suffix += fmt.Sprintf(".part-%d", part)
	}
	path := fmt.Sprintf("%s/%d%s", LostFound, generation, original)
	if room := model.MaxPathBytes - len(suffix); len(path) > room {
		path = path[:room]
		for !utf8.ValidString(path) {
			path = path[:len(path)-1]
		}
	}
	return path + suffix
}

// LostMeta is the metadata of such a file: where the writer wanted it.
func LostMeta(original string, part uint32) map[string]string {
	meta := map[string]string{"original-path": original}
	if part > 0 {
		meta["part"] = strconv.FormatUint(uint64(part), 10)
	}
	return meta
}

// Identical reports whether a record that the recovered catalog does not know is what lies
// at its path already: a client repeated its put, and the first try was stored, too. row is
// the file of the same tenant and path, nil: there is none. A part of a larger file is no
// whole content, and never identical; a version that was renamed is elsewhere.
func Identical(row *messages.FileRow, bytes uint64, crc, parts uint32) bool {
	return row != nil && parts <= 1 && row.SizeBytes == bytes && row.Crc32C == crc
}
