package store

import (
	"bytes"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func encodeRecord(r Record) []byte {
	buf, _ := appendRecordHeader(nil, 7, 3, &r)
	return append(buf, r.Body...)
}

// decodeRecord is what a scan does with one record.
func decodeRecord(p []byte) (recordHeader, []byte, error) {
	return recordAt(newWindow(bytes.NewReader(p), int64(len(p))), 7, 0)
}

func TestRecord_ComesBackAsItWent(t *testing.T) {
	for _, size := range []int{0, 1, 1024, recordBlock - 1, recordBlock, recordBlock + 1, 3*recordBlock + 5, model.MaxExtentBytes} {
		want := Record{Tenant: "acme", Path: "/models/a.emm", Session: 1 << 60, Sequence: 9, Part: 2, Parts: 3, Body: body(size, size)}
		h, got, err := decodeRecord(encodeRecord(want))
		require.NoError(t, err)
		rec := h.record(got)
		equalBytes(t, want.Body, rec.Body, "body")
		rec.Body, want.Body = nil, nil
		assert.Equal(t, want, rec)
		assert.Equal(t, uint64(3), h.generation)
	}
}

func TestRecord_CostsLittleBesideItsContent(t *testing.T) {
	r := Record{Tenant: "default", Path: "/vectors/1", Body: body(1, 1024)}
	assert.LessOrEqual(t, len(encodeRecord(r)), 64+len(r.Tenant)+len(r.Path)+len(r.Body))
}

func TestRecord_EveryFlippedBitIsNoticed(t *testing.T) {
	p := encodeRecord(Record{Tenant: "t", Path: "/p", Session: 5, Body: body(1, 100)})
	for bit := range 8 * len(p) {
		p[bit/8] ^= 1 << (bit % 8)
		_, _, err := decodeRecord(p)
		assert.Error(t, err, "bit %d", bit)
		p[bit/8] ^= 1 << (bit % 8)
	}
	for n := range len(p) {
		_, _, err := decodeRecord(p[:n])
		assert.Error(t, err, "%d bytes", n)
	}
}

func TestRecord_RefusesWhatIsBeyondItsLimits(t *testing.T) {
	for name, r := range map[string]Record{
		"tenant": {Tenant: strings.Repeat("a", model.MaxTenantBytes+1)},
		"path":   {Path: strings.Repeat("a", model.MaxPathBytes+1)},
		"body":   {Body: make([]byte, model.MaxExtentBytes+1)},
	} {
		assertCode(t, model.CodeInvalidArgument, checkRecord(&r), name)
	}
}

func FuzzRecordDecoder(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeRecord(Record{}))
	f.Add(encodeRecord(Record{Tenant: "t", Path: "/p", Body: []byte("hello")}))
	cut := encodeRecord(Record{Tenant: "t", Path: "/p", Body: make([]byte, 100)})
	f.Add(cut[:len(cut)-1])
	huge := encodeRecord(Record{Path: "/p"})
	le.PutUint32(huge[12:], 1<<31)
	f.Add(huge)
	f.Fuzz(func(t *testing.T, p []byte) {
		h, got, err := decodeRecord(p)
		if err != nil {
			return
		}
		again, crc := appendRecordHeader(nil, h.volume, h.generation, &Record{
			Tenant: string(h.tenant()), Path: string(h.path()), Session: h.session, Sequence: h.sequence,
			Part: h.part, Parts: h.parts, Body: got,
		})
		if crc != h.crc || !bytes.Equal(append(again, got...), p[:h.recordBytes()]) {
			t.Fatal("what was decoded does not encode to the same bytes")
		}
	})
}

func FuzzVolumeMetaDecoder(f *testing.F) {
	m := volumeMeta{id: 7, tier: 2, generation: 3, start: DataStart, replicaGen: 4, watermark: 500, sealed: true, sealedEnd: 400}
	f.Add([]byte{})
	f.Add(m.encode())
	f.Add(m.encode()[:metaBodyBytes])
	f.Add(append(m.encode()[:metaBlock], encodeHint(3, 900)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) >= metaBodyBytes {
			p = append([]byte(nil), p...)
			le.PutUint32(p[metaBodyBytes-4:], crc32.Checksum(p[:metaBodyBytes-4], castagnoli)) // so that what is behind it is reached
		}
		m, err := decodeVolumeMeta(p)
		if err != nil {
			return
		}
		again, err := decodeVolumeMeta(m.encode())
		if err != nil || again != m {
			t.Fatalf("%+v became %+v: %v", m, again, err)
		}
	})
}
