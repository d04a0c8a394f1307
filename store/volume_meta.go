package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"path"

	"tiercel/cluster/model"
)

// DataStart is the size of a volume file's own header: the offset of the first
// record of a volume.
const DataStart = 32

// The header of a .vol: magic (8), format version (4), tier (4), volume id (8),
// crc32c of these (4), zeros (4).
//
// A .meta has three blocks of 4 KiB, so that writing one cannot tear another:
// the meta itself (written only by atomic replacement), and two watermark hints,
// written in turn, in place and without a sync, each with a checksum. A hint that
// a crash has torn is ignored: it only bounds how much a restart must scan.
const (
	volumeMagic   = "TIERCELV"
	metaMagic     = "TIERCELM"
	formatNumber  = 1
	metaBlock     = 4096
	metaHints     = 2
	metaFileBytes = metaBlock * (1 + metaHints)
	metaBodyBytes = 128
	hintBytes     = 24
	maxMetaFile   = 64 << 10

	// digestBytes of XXH3-128. A digest tells equal copies from damaged ones; nobody
	// gains by forging one, and a volume that is sealed must not cost a core for long.
	digestBytes = 16

	metaFenced   = 1 << 0
	metaSealed   = 1 << 1
	metaReceived = 1 << 2
	metaDamaged  = 1 << 3
)

// volumeMeta is what is known of a copy beside its records.
type volumeMeta struct {
	id         model.VolumeID
	tier       model.Tier
	generation uint64 // of the records that may be appended
	start      uint64 // where that generation began
	replicaGen uint64
	watermark  uint64 // durable at least up to here; a record boundary
	fenced     bool   // no append of this generation any more
	sealed     bool
	sealedEnd  uint64
	digest     [digestBytes]byte // of the file up to sealedEnd
	received   bool              // its bytes came from other copies: where which generation began is not known
	damaged    bool              // a check found bytes that are not what was written
}

// The files of a copy. A copy that leaves loses its .meta first, to .drop or .aside,
// which say what a restart has to finish; .in are bytes that wait for their .meta.
const (
	extVol   = "vol"
	extMeta  = "meta"
	extDrop  = "drop"
	extAside = "aside"
	extIn    = "in"
)

func volName(tier model.Tier, id model.VolumeID) string  { return copyName(tier, id, extVol) }
func metaName(tier model.Tier, id model.VolumeID) string { return copyName(tier, id, extMeta) }

func copyName(tier model.Tier, id model.VolumeID, ext string) string {
	return path.Join(tierDir(tier), id.String()+"."+ext)
}

func encodeVolumeHeader(tier model.Tier, id model.VolumeID) []byte {
	buf := make([]byte, 0, DataStart)
	buf = append(buf, volumeMagic...)
	buf = le.AppendUint32(buf, formatNumber)
	buf = le.AppendUint32(buf, uint32(tier))
	buf = le.AppendUint64(buf, uint64(id))
	buf = le.AppendUint32(buf, crc32.Checksum(buf, castagnoli))
	return le.AppendUint32(buf, 0)
}

func checkVolumeHeader(p []byte, tier model.Tier, id model.VolumeID) error {
	if string(p) != string(encodeVolumeHeader(tier, id)) {
		return fmt.Errorf("the first %d bytes are not the header of volume %d of tier %d", DataStart, id, tier)
	}
	return nil
}

// encode renders the whole .meta file, hints cleared.
func (m *volumeMeta) encode() []byte {
	buf := make([]byte, 0, metaFileBytes)
	buf = append(buf, metaMagic...)
	buf = le.AppendUint32(buf, formatNumber)
	var flags byte
	if m.fenced {
		flags |= metaFenced
	}
	if m.sealed {
		flags |= metaSealed
	}
	if m.received {
		flags |= metaReceived
	}
	if m.damaged {
		flags |= metaDamaged
	}
	buf = append(buf, byte(m.tier), flags, 0, 0)
	for _, v := range []uint64{uint64(m.id), m.generation, m.start, m.replicaGen, m.watermark, m.sealedEnd} {
		buf = le.AppendUint64(buf, v)
	}
	buf = append(buf, m.digest[:]...)
	buf = buf[:metaBodyBytes-4]
	buf = le.AppendUint32(buf, crc32.Checksum(buf, castagnoli))
	return buf[:metaFileBytes]
}

// encodeHint renders one watermark hint of a generation.
func encodeHint(generation, watermark uint64) []byte {
	buf := make([]byte, 0, hintBytes)
	buf = le.AppendUint64(buf, generation)
	buf = le.AppendUint64(buf, watermark)
	buf = le.AppendUint32(buf, crc32.Checksum(buf, castagnoli))
	return le.AppendUint32(buf, 0)
}

// decodeVolumeMeta reads a .meta file; its watermark is the best of the meta's
// and the intact hints of its generation.
func decodeVolumeMeta(p []byte) (volumeMeta, error) {
	var m volumeMeta
	switch {
	case len(p) < metaBodyBytes:
		return m, fmt.Errorf("it has %d bytes instead of %d", len(p), metaFileBytes)
	case string(p[:8]) != metaMagic:
		return m, errors.New("it does not begin as a volume's meta")
	case le.Uint32(p[metaBodyBytes-4:]) != crc32.Checksum(p[:metaBodyBytes-4], castagnoli):
		return m, errors.New("it does not match its checksum")
	case le.Uint32(p[8:]) != formatNumber:
		return m, fmt.Errorf("it has format version %d; this program knows %d", le.Uint32(p[8:]), formatNumber)
	}
	m.tier = model.Tier(p[12])
	m.fenced, m.sealed = p[13]&metaFenced != 0, p[13]&metaSealed != 0
	m.received, m.damaged = p[13]&metaReceived != 0, p[13]&metaDamaged != 0
	m.id = model.VolumeID(le.Uint64(p[16:]))
	m.generation, m.start, m.replicaGen = le.Uint64(p[24:]), le.Uint64(p[32:]), le.Uint64(p[40:])
	m.watermark, m.sealedEnd = le.Uint64(p[48:]), le.Uint64(p[56:])
	copy(m.digest[:], p[64:])
	if !m.tier.Valid() || m.start < DataStart || m.watermark < DataStart {
		return m, errors.New("it has a field out of range")
	}
	for i := 1; i <= metaHints && len(p) >= i*metaBlock+hintBytes; i++ {
		hint := p[i*metaBlock:]
		generation, watermark := le.Uint64(hint), le.Uint64(hint[8:])
		if le.Uint32(hint[16:]) == crc32.Checksum(hint[:16], castagnoli) && generation == m.generation {
			m.watermark = max(m.watermark, watermark)
		}
	}
	return m, nil
}
