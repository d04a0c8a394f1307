package httpapi

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// receipt is what a write returns and ?receipt repeats: where a version is, and
// how far its copies have come.
type receipt struct {
	path    string
	row     *messages.FileRow
	volumes []*messages.VolumeRow
	epoch   model.Epoch
	factor  uint32 // the replication factor N
	wanted  uint32 // copies by the tier's row; 0: by the factor
}

// copiesWanted is the number of copies of a tier (DESIGN "Tiers").
func copiesWanted(tier model.Tier, factor uint32) uint32 {
	switch tier {
	case model.TierCritical:
		return factor + 1
	case model.TierImportant:
		return factor
	}
	return 1
}

func (r *receipt) copiesWanted() uint32 {
	if r.wanted > 0 {
		return r.wanted
	}
	return copiesWanted(model.Tier(r.row.Tier), r.factor)
}

// replica is one worker's copy of a file. A file in several volumes is durable
// or in sync at a worker that is so in each volume.
type replica struct {
	worker          string
	volumes         int
	durable, inSync bool
}

// replicas reads the copies of a stored file off the rows of its volumes:
//
//   - a sealed volume: a member is verified against the digest of the whole file, or not there yet;
//   - an open one of tier 1: the write was acknowledged by every member's fsync;
//   - of tier 2: by the primary's, and the log does not know how far the others are;
//   - of tier 3: the primary has it, not yet fsynced.
func replicas(volumes []*messages.VolumeRow) (copies []replica, durable uint32) {
	for _, v := range volumes {
		tier := model.Tier(v.Tier)
		open := v.State == messages.VolumeState_OPEN
		durableHere := uint32(0)
		for i, m := range v.Members {
			inSync := m.Verified
			if open {
				inSync = i == 0 || tier == model.TierCritical
			}
			hardened := inSync && (!open || tier.Synced())
			if hardened {
				durableHere++
			}
			copies = addReplica(copies, m.Node, hardened, inSync)
		}
		if durable = min(durable, durableHere); v == volumes[0] {
			durable = durableHere
		}
	}
	for i := range copies {
		if copies[i].volumes < len(volumes) {
			copies[i].durable, copies[i].inSync = false, false
		}
	}
	return copies, durable
}

func addReplica(copies []replica, worker string, durable, inSync bool) []replica {
	for i := range copies {
		if r := &copies[i]; r.worker == worker {
			r.volumes++
			r.durable, r.inSync = r.durable && durable, r.inSync && inSync
			return copies
		}
	}
	return append(copies, replica{worker, 1, durable, inSync})
}

// append appends the receipt in the form of API.md "Files".
func (r *receipt) append(dst []byte) []byte {
	tier, asked := r.row.Tier, r.row.TierAsked
	if asked == 0 {
		asked = tier
	}
	copies, durable := replicas(r.volumes)
	dst = append(dst, `{"path":`...)
	dst = appendJSONString(dst, r.path)
	dst = append(dst, `,"version":`...)
	dst = appendJSONUint(dst, r.row.Version)
	dst = append(dst, `,"epoch":"`...)
	dst = appendJSONUint(dst, r.epoch.Generation)
	dst = append(dst, '.')
	dst = appendJSONUint(dst, r.epoch.Term)
	dst = append(dst, `","size_bytes":`...)
	dst = appendJSONUint(dst, r.row.SizeBytes)
	dst = append(dst, `,"etag":`...)
	dst = appendETagJSON(dst, r.row)
	dst = append(dst, `,"checksum_crc32c":"`...)
	dst = appendChecksum(dst, r.row.Crc32C)
	dst = append(dst, `","tier":{"asked":`...)
	dst = appendJSONUint(dst, uint64(asked))
	dst = append(dst, `,"achieved":`...)
	dst = appendJSONUint(dst, uint64(tier))
	dst = append(dst, `,"copies_wanted":`...)
	dst = appendJSONUint(dst, uint64(r.copiesWanted()))
	dst = append(dst, `,"copies_durable":`...)
	dst = appendJSONUint(dst, uint64(durable))
	if r.licensedLess() {
		dst = append(dst, `,"limited_by":"license"`...)
	}
	dst = append(dst, `},"replicas":[`...)
	for i, c := range copies {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"worker_id":`...)
		dst = appendJSONString(dst, c.worker)
		dst = append(dst, `,"durable":`...)
		dst = appendJSONBool(dst, c.durable)
		dst = append(dst, `,"in_sync":`...)
		dst = appendJSONBool(dst, c.inSync)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"volume_ids":[`...)
	for i, v := range r.volumes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONUint(dst, v.Id)
	}
	dst = append(dst, `],"modified_at":`...)
	dst = appendJSONTime(dst, r.row.ModifiedUnixMs)
	return append(dst, "}\n"...)
}

// appendETagJSON appends the ETag as a JSON string: its quotes belong to it, so
// that it can be sent back in If-Match as it is.
func appendETagJSON(dst []byte, row *messages.FileRow) []byte {
	dst = append(dst, '"', '\\')
	dst = appendETag(dst, row.Version, row.Crc32C)
	dst[len(dst)-1] = '\\'
	return append(dst, '"', '"')
}

// answerReceipt answers a PUT or a copy: 201 for a new path, 200 for a replaced one.
func (c *call) answerReceipt(path string, reply *messages.PutReply) error {
	r := receiptOf(path, reply)
	c.scratch = r.append(c.scratch[:0])
	c.answerJSON(putStatus(reply))
	c.versionHeaders(r.row)
	return nil
}

func receiptOf(path string, reply *messages.PutReply) receipt {
	return receipt{path: path, row: reply.Row, volumes: reply.Volumes, factor: reply.ReplicationFactor, wanted: reply.CopiesWanted,
		epoch: model.Epoch{Generation: reply.EpochGeneration, Term: reply.EpochTerm}}
}

// putStatus is 201 for a new path, 200 for a replaced one.
func putStatus(reply *messages.PutReply) int {
	if reply.GetResult().GetCreated() {
		return fasthttp.StatusCreated
	}
	return fasthttp.StatusOK
}

// versionHeaders sets ETag and X-Storage-Version.
func (c *call) versionHeaders(row *messages.FileRow) {
	h := &c.ctx.Response.Header
	var buf [40]byte
	h.SetCanonical(headerETag, appendETag(buf[:0], row.Version, row.Crc32C))
	h.SetCanonical(headerVersion, strconv.AppendUint(buf[:0], row.Version, 10))
}

var (
	headerETag    = []byte("ETag")
	headerVersion = []byte("X-Storage-Version")
)
