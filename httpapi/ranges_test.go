package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRange_ParsesAndCoalesces(t *testing.T) {
	for _, c := range []struct {
		header string
		size   int64
		want   string // spans, "whole", or an error code
	}{
		{"bytes=0-0", 10, "[0,1)"},
		{"bytes=0-", 10, "[0,10)"},
		{"bytes=3-5", 10, "[3,6)"},
		{"Bytes=3-5", 10, "[3,6)"},
		{"bytes=9-100", 10, "[9,10)"},
		{"bytes=-3", 10, "[7,10)"},
		{"bytes=-30", 10, "[0,10)"},
		{"bytes= 1-2 , 5-6", 10, "[1,3) [5,7)"},
		{"bytes=,1-2,,", 10, "[1,3)"},
		{"bytes=5-6,1-2", 10, "[5,7) [1,3)"},    // in the order asked for
		{"bytes=5-6,1-2,2-3", 10, "[1,7)"},      // overlapping: joined, with what is near
		{"bytes=0-9,0-9,0-9,0-9", 10, "[0,10)"}, // never a byte twice
		{"bytes=0-4,500-,499-600", 1000, "[0,5) [499,1000)"},
		{"bytes=1-2,10-20", 10, "[1,3)"}, // what is outside is left out
		{"bytes=0-99999999999999999999999", 10, "[0,10)"},
		{"bytes=10-", 10, "range_not_satisfiable"},
		{"bytes=10-12,99-", 10, "range_not_satisfiable"},
		{"bytes=-0", 10, "range_not_satisfiable"},
		{"bytes=99999999999999999999999-", 10, "range_not_satisfiable"},
		{"bytes=0-5", 0, "whole"},
		{"lines=0-5", 10, "whole"}, // another unit: not ours to judge
		{"bytes=", 10, "invalid_argument"},
		{"bytes=,", 10, "invalid_argument"},
		{"bytes", 10, "invalid_argument"},
		{"bytes 0-5", 10, "invalid_argument"},
		{"", 10, "invalid_argument"},
		{"=0-5", 10, "invalid_argument"},
		{"bytes=-", 10, "invalid_argument"},
		{"bytes=5", 10, "invalid_argument"},
		{"bytes=5-3", 10, "invalid_argument"},
		{"bytes=a-b", 10, "invalid_argument"},
		{"bytes=0x0-5", 10, "invalid_argument"},
		{"bytes=--5", 10, "invalid_argument"},
		{"bytes=1-2-3", 10, "invalid_argument"},
		{"bytes=1 - 2", 10, "invalid_argument"},
		{"bytes=0-1;2-3", 10, "invalid_argument"},
		{"bytes=0-1,x", 10, "invalid_argument"},
		{"bytes=" + strings.Repeat("0-0,", maxRanges), 10, "[0,1)"},
		{"bytes=" + strings.Repeat("0-0,", maxRanges+1), 10, "invalid_argument"},
	} {
		t.Run(clip(c.header), func(t *testing.T) {
			spans, err := parseRange([]byte(c.header), c.size)
			got := "whole"
			if err != nil {
				got = string(clientError(err).Code)
			} else if len(spans) > 0 {
				got = strings.Join(spanTexts(spans), " ")
			}
			assert.Equal(t, c.want, got)
		})
	}
	spans, err := parseRange(nil, 10)
	assert.Nil(t, spans)
	assert.NoError(t, err)
}

func spanTexts(spans []span) (out []string) {
	for _, s := range spans {
		out = append(out, fmt.Sprintf("[%d,%d)", s.from, s.to))
	}
	return out
}

// ranged is an answer to a Range request in a form to be compared: the parts by
// Content-Range, or the body under "".
func ranged(t *testing.T, status int, header http.Header, body []byte) map[string]string {
	t.Helper()
	mediaType, params, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if status != 206 || mediaType != "multipart/byteranges" {
		return map[string]string{header.Get("Content-Range"): string(body)}
	}
	out := map[string]string{}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		content, err := io.ReadAll(p)
		require.NoError(t, err)
		out[p.Header.Get("Content-Type")+" "+p.Header.Get("Content-Range")] = string(content)
	}
}

func TestRange_AgreesWithServeContentWhereRangesDoNotOverlap(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.extentBytes = 700
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 10, 3000, 40000} {
		content := pattern(size)
		tag := w.put("/f", content, "Content-Type: text/plain").header.Get("ETag")
		for range 60 {
			// Ranges in disjoint blocks of the file, some past its end, in any order.
			var specs []string
			for _, block := range random.Perm(6)[:1+random.IntN(4)] {
				width := size/5 + 1
				from := block*width + random.IntN(width)
				to := from + random.IntN((block+1)*width-from)
				specs = append(specs, fmt.Sprintf("%d-%d", from, to))
			}
			if random.IntN(8) == 0 {
				specs = []string{fmt.Sprintf("-%d", 1+random.IntN(size+5))}
			}
			header := "bytes=" + strings.Join(specs, ",")
			ifRange := []string{"", tag, `"other"`, "W/" + tag, w.gw.now.Format(http.TimeFormat), w.gw.now.Add(time.Hour).Format(http.TimeFormat)}[random.IntN(6)]

			rec := httptest.NewRecorder()
			req := httptest.NewRequest("GET", "/f", nil)
			headers := []string{"Range: " + header}
			if ifRange != "" {
				headers = append(headers, "If-Range: "+ifRange)
				req.Header.Set("If-Range", ifRange)
			}
			req.Header.Set("Range", header)
			rec.Header().Set("ETag", tag)
			rec.Header().Set("Content-Type", "text/plain")
			http.ServeContent(rec, req, "f", w.gw.now, bytes.NewReader(content))

			got := w.get("/f", headers...)
			require.NoError(t, got.err)
			what := fmt.Sprintf("%s of %d, if %s", header, size, ifRange)
			require.Equal(t, rec.Code, got.status, what)
			require.Equal(t, int64(len(got.body)), got.length, what)
			if rec.Code != 416 { // whose body is ours
				require.Equal(t, ranged(t, rec.Code, rec.Header(), rec.Body.Bytes()), ranged(t, got.status, got.header, got.body), what)
			} else {
				require.Equal(t, fmt.Sprintf("bytes */%d", size), got.header.Get("Content-Range"), what)
			}
		}
	}
}

func TestRange_RefusalsCarryTheirCodeAndSize(t *testing.T) {
	w := inMemory(t, Config{})
	w.put("/f", pattern(10))
	wantError(t, w.get("/f", "Range: bytes=5-3"), 400, "invalid_argument")
	r := w.get("/f", "Range: bytes=10-")
	wantError(t, r, 416, "range_not_satisfiable")
	assert.Equal(t, "bytes */10", r.header.Get("Content-Range"))
	r = w.get("/f", "Range: bytes=0-4")
	assert.Equal(t, 206, r.status)
	assert.Equal(t, "bytes 0-4/10", r.header.Get("Content-Range"))
	assert.Equal(t, int64(5), r.length)
	assert.Empty(t, r.header.Get("X-Checksum-Crc32c"), "the checksum is of the whole file")
	r = w.do("HEAD", fileURL+"/f", nil, "Range: bytes=0-4")
	assert.Equal(t, 200, r.status)
	assert.Equal(t, int64(10), r.length)
	w.put("/empty", nil)
	assert.Equal(t, 200, w.get("/empty", "Range: bytes=0-4").status)
}

func TestRange_OfALargeFileReadsOnlyWhatItNeeds(t *testing.T) {
	w := inMemory(t, Config{})
	content := pattern(20 << 20)
	w.put("/big", content)
	var read uint64
	w.gw.onRead = countReads(&read)
	r := w.get("/big", fmt.Sprintf("Range: bytes=%d-%d", 8<<20-100, 8<<20+99))
	assert.Equal(t, content[8<<20-100:8<<20+100], r.body)
	assert.Equal(t, uint64(200), read)
	read = 0
	r = w.get("/big", fmt.Sprintf("Range: bytes=%d-%d", 1<<19, 3<<20))
	assert.True(t, bytes.Equal(content[1<<19:3<<20+1], r.body))
	assert.Equal(t, uint64(3<<20+1-1<<19), read)
}
