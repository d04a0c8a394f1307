package httpapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// Each decoder either refuses with invalid_argument or gives something that
// satisfies what the rest of the program relies on.

func refused(t *testing.T, err error) bool {
	if err != nil {
		require.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), "%v", err)
	}
	return err != nil
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/a", "/a/../b", "/%2e%2e", "/a%2Fb", "/%", "/\xff", "", "/%00", "/a+b", "/%C3%A4"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		path, err := decodePath(raw)
		if refused(t, err) {
			return
		}
		require.NoError(t, model.CheckPath(path))
		escaped := strings.Count(strings.ToLower(string(raw)), "%2f")
		require.Equal(t, bytes.Count(raw, []byte("/"))+escaped, strings.Count(path, "/"), "a slash came from elsewhere")
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/a?b#c", "http://h/a?b", "*", "http://h", "//a", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		path, query, err := splitTarget(raw)
		if !refused(t, err) {
			require.NotContains(t, string(path), "?")
			require.LessOrEqual(t, len(path)+len(query), len(raw)+1)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-5", "bytes=1-,0-0", "bytes=9999999999999999999-", "x=1", "bytes="} {
		f.Add([]byte(s), int64(10))
	}
	f.Fuzz(func(t *testing.T, raw []byte, size int64) {
		if size < 0 {
			return
		}
		spans, err := parseRange(raw, size)
		if err != nil {
			require.Contains(t, []model.Code{model.CodeInvalidArgument, model.CodeRangeNotSatisfiable}, model.CodeOf(err))
			return
		}
		var total int64
		for _, s := range spans {
			require.True(t, 0 <= s.from && s.from < s.to && s.to <= size, "%v of %d", s, size)
			total += s.bytes()
		}
		require.LessOrEqual(t, total, size)
		require.LessOrEqual(t, len(spans), maxRanges)
	})
}

func FuzzTagList(f *testing.F) {
	for _, s := range []string{"*", `"1-00000000"`, `W/"a", "b"`, `"a`, ",", `"ff-9a71bb4c",,`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := parseTagList("If-Match", raw)
		if refused(t, err) || raw == nil {
			return
		}
		require.True(t, list.any != (len(list.tags) > 0))
		for _, tag := range list.tags {
			if tag.ours { // was written as we write it
				require.Contains(t, string(raw), string(appendETag(nil, tag.version, tag.crc32c)))
			}
		}
	})
}

func FuzzETagRoundTrip(f *testing.F) {
	f.Add(uint64(1), uint32(0))
	f.Fuzz(func(t *testing.T, version uint64, sum uint32) {
		if version == 0 {
			return // no file has it
		}
		list, err := parseTagList("If-Match", appendETag(nil, version, sum))
		require.NoError(t, err)
		require.Equal(t, []entityTag{{ours: true, version: version, crc32c: sum}}, list.tags)
		require.True(t, list.matches(&messages.FileRow{Version: version, Crc32C: sum}, false))
		got, err := parseChecksum(appendChecksum(nil, sum))
		require.NoError(t, err)
		require.Equal(t, sum, got)
	})
}

func FuzzChecksum(f *testing.F) {
	for _, s := range []string{"AAAAAA==", "mnG7TA==", "AAAAAAA=", "", "AAAA\nAA=="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		sum, err := parseChecksum(raw)
		if !refused(t, err) {
			require.Equal(t, string(raw), string(appendChecksum(nil, sum)), "one value has two forms")
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(encodeCursor("t", "/p", "/", "/p/a"), "/p/a")
	f.Add("AAAA", "/")
	f.Add(encodeCursor("t", "/p", "/", "/p/a")[:6]+"\r"+encodeCursor("t", "/p", "/", "/p/a")[6:], "/") // found by fuzzing: it was taken
	f.Fuzz(func(t *testing.T, cursor, place string) {
		if got, err := decodeCursor(cursor, "t", "/p", "/"); !refused(t, err) {
			require.Equal(t, cursor, encodeCursor("t", "/p", "/", got))
		}
		if place != "" && len(place) <= model.MaxPathBytes {
			got, err := decodeCursor(encodeCursor("t", "/p", "/", place), "t", "/p", "/")
			require.NoError(t, err)
			require.Equal(t, place, got)
		}
	})
}

func FuzzJSONObject(f *testing.F) {
	for _, s := range []string{`{"from":"/a","to":"/b"}`, `{"from":"\ud83d\ude00"}`, `{"from":"\\ud800"}`, `{`, `{"from":1e9}`, `{"to":1e922}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		obj, err := decodeObject(body, "from", "to", "overwrite")
		if refused(t, err) {
			return
		}
		require.True(t, json.Valid(body))
		var want map[string]any
		oracle := json.NewDecoder(bytes.NewReader(body))
		oracle.UseNumber() // one that no float can be is still a number
		require.NoError(t, oracle.Decode(&want))
		require.Len(t, obj, len(want))
		if from, err := obj.text("from"); err == nil && want["from"] != nil {
			require.Equal(t, want["from"], from)
		}
	})
}

func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", `a"b\c`, "\x00\x1f\x7f", "\xff", "ä\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		require.NoError(t, json.Unmarshal(appendJSONString(nil, s), &got))
		if utf8.ValidString(s) {
			require.Equal(t, s, got)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"Host: h\r\n\r\n", "A: b\r\n c\r\n\r\n", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "X-Meta-: \r\n", "\r\n", "A:b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h headers
		if refused(t, h.scan(raw)) {
			return
		}
		require.False(t, h.contentLength != nil && h.transferEncoding != nil)
		if meta, err := readMeta(h.meta); err == nil {
			for k, v := range meta {
				require.NotEmpty(t, k)
				require.True(t, utf8.ValidString(v) && !strings.ContainsAny(v, "\r\n\x00"))
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"prefix=/a&limit=3", "a=%zz", "&&", "=", "prefix=+%2B"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		values, err := strictQuery(raw, "prefix", "delimiter", "limit", "cursor")
		if !refused(t, err) {
			for _, v := range values {
				require.True(t, utf8.ValidString(v))
			}
		}
	})
}

func TestETag_OfAnotherFormIsNotOurs(t *testing.T) {
	for _, s := range []string{"01-00000000", "1-0000000", "1-000000000", "A-00000000", "1-0000000A", "-00000000", "1_00000000", "10000000000000000-00000000", "", "1-00000000 "} {
		_, _, ours := parseOurTag([]byte(s))
		assert.False(t, ours, s)
	}
}
