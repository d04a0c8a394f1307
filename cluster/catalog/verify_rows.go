package catalog

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/cluster/quota"
	"tiercel/messages"
)

// row checks one row by itself and adds it to the sums.
func (a *audit) row(key, value string) {
	if key == keyApplied || key == keyCluster {
		return
	}
	if len(key) < 3 || key[1] != '/' {
		a.problem("row %q is of no known kind", key)
		return
	}
	prefix, rest := key[:2], key[2:]
	switch prefix {
	case prefixFile:
		a.fileRow(key, rest, value)
	case prefixManifest:
		a.manifestRow(key, rest, value)
	case prefixGarbage:
		id, okID := parseHex(rest, 16)
		first, okFirst := parseHex(value, 8)
		if !okID || !okFirst {
			a.problem("garbage row %q holds %q", key, value)
		}
		m := sum(a.manifests, id)
		m.garbage, m.first = true, uint32(first)
		m.owners = append(m.owners, key)
	case prefixUpload:
		row := &messages.UploadRow{}
		if id, ok := parseHex(rest, 16); ok && a.decode(key, value, row) && row.Extents > 0 {
			a.owns(key, id, row.Extents, row.SizeBytes)
		}
	case prefixIdempotency:
		a.idempotencyRow(key, rest, value)
	case prefixAge:
		a.ageRow(key, rest, value)
	case prefixTenant, prefixSession, prefixVolume, prefixWorker, prefixJob: // compared with the caches
	default:
		a.problem("row %q is of no known kind", key)
	}
}

// decode reads a row and checks that it is encoded as this code would.
func (a *audit) decode(key, value string, row proto.Message) bool {
	if err := proto.Unmarshal([]byte(value), row); err != nil {
		a.problem("row %q cannot be read: %v", key, err)
		return false
	}
	if again := a.c.encode(row); again != value {
		a.problem("row %q is not in its canonical encoding", key)
	}
	return true
}

// owns notes that a row names a manifest.
func (a *audit) owns(key string, id, extents, size uint64) {
	m := sum(a.manifests, id)
	m.owners = append(m.owners, key)
	m.want, m.size = extents, size
}

func (a *audit) fileRow(key, rest, value string) {
	tenant, path, ok := strings.Cut(rest, "\x00")
	if !ok || checkOwner(tenant) != nil || model.CheckPath(path) != nil {
		a.problem("row %q is not that of a file", key)
	}
	row := &messages.FileRow{}
	if !a.decode(key, value, row) {
		return
	}
	t := sum(a.usage, tenant)
	t.Files++
	t.UsedBytes += quota.Charged(row)
	if row.Version == 0 || row.Version > a.c.applied {
		a.problem("file %q has version %d, and %d is applied", key, row.Version, a.c.applied)
	}
	if !validTier(row.Tier) {
		a.problem("file %q has tier %d", key, row.Tier)
	}
	if row.Manifest != 0 {
		a.owns(key, row.Manifest, row.ManifestExtents, row.SizeBytes)
		if len(row.Extents) > 0 || row.ManifestExtents <= MaxInlineExtents {
			a.problem("file %q has a manifest of %d extents and %d inline", key, row.ManifestExtents, len(row.Extents))
		}
		return
	}
	held := a.extents(key, row.Extents)
	for _, e := range row.Extents {
		if v := a.c.volumes[e.Volume]; v != nil && v.row.Tier != row.Tier {
			a.problem("file %q of tier %d is in volume %d of tier %d", key, row.Tier, e.Volume, v.row.Tier)
		}
	}
	if held != row.SizeBytes || len(row.Extents) > MaxInlineExtents || row.ManifestExtents != 0 {
		a.problem("file %q has %d bytes, and its %d extents hold %d", key, row.SizeBytes, len(row.Extents), held)
	}
}

func (a *audit) manifestRow(key, rest, value string) {
	id, chunk, ok := parseManifestKey(rest)
	row := &messages.ManifestRow{}
	if !ok || !a.decode(key, value, row) {
		a.problem("row %q is not that of a manifest", key)
		return
	}
	m := sum(a.manifests, id)
	if m.chunks == 0 {
		m.begin = chunk
	} else if m.extents%ManifestChunkExtents != 0 {
		a.problem("manifest %d has a row before chunk %d that is not full", id, chunk)
	}
	m.chunks++
	m.end = chunk + 1
	m.extents += uint64(len(row.Extents))
	if n := len(row.Extents); n == 0 || n > ManifestChunkExtents {
		a.problem("row %q holds %d extents", key, n)
	}
	m.bytes += a.extents(key, row.Extents)
}

// ageRow comes after every idempotency row, in the order of keys.
func (a *audit) ageRow(key, rest, value string) {
	tenant, index, ok := strings.Cut(rest, "\x00")
	if _, isIndex := parseHex(index, 16); !ok || !isIndex {
		a.problem("row %q is not that of an age", key)
	}
	if a.ages[key] != value {
		a.problem("age row %q names the idempotency key %q, whose row does not name it", key, value)
		return
	}
	delete(a.ages, key)
	sum(a.usage, tenant).IdempotencyKeys++
}

func (a *audit) idempotencyRow(key, rest, value string) {
	tenant, name, ok := strings.Cut(rest, "\x00")
	row := &messages.IdempotencyRow{}
	if !ok || !a.decode(key, value, row) {
		a.problem("row %q is not that of an idempotency key", key)
		return
	}
	a.ages[ageKey(tenant, row.Index)] = name
}
