package simtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// part appends the next part of an upload and waits until it is staged.
func (p *probe) part(upload, part uint64, body []byte) {
	p.t.Helper()
	r := ask[*messages.UploadPartReply](p, gatewayPath, &messages.UploadPart{Header: p.header(), Upload: upload, Part: part, Body: body})
	require.Nil(p.t, r.Error, "%v", r.Error)
}

// What an upload has staged, and a file of many pieces, lie in volumes that are
// emptied while the upload goes on and the file is there.
func TestStory_UploadsUnderWayAreMovedAlong(t *testing.T) {
	for seed := range uint64(4) {
		p := newClusterProbe(t, 880+seed, 3)
		kept := make(map[string]string)
		const parts, bytes = 9, 2000
		upload := func(path string) (*messages.FileAttributes, []byte, uint64) {
			whole := blob("value of "+path, parts*bytes)
			p.story.values.add("value of "+path, whole)
			kept[path] = "value of " + path
			file := &messages.FileAttributes{Tenant: clientTenant, Path: path, SizeBytes: parts * bytes, Crc32C: crcOf(whole)}
			r := ask[*messages.OpenUploadReply](p, gatewayPath, &messages.OpenUpload{Header: p.header(), File: file})
			require.Nil(t, r.Error)
			return file, whole, r.Upload
		}
		finish := func(file *messages.FileAttributes, id uint64) {
			done := ask[*messages.PutReply](p, gatewayPath, &messages.FinishUpload{Header: p.header(), Upload: id, File: file})
			require.Nil(t, done.Error, "%v", done.Error)
		}
		file, whole, id := upload("/models/done")
		for n := range uint64(parts) {
			p.part(id, n, whole[n*bytes:(n+1)*bytes])
		}
		finish(file, id)
		file, whole, id = upload("/models/late")
		for n := range uint64(3) {
			p.part(id, n, whole[n*bytes:(n+1)*bytes])
		}
		p.got = nil
		p.fill(40, model.TierCritical, kept)
		before := p.volumes()
		for n := uint64(3); n < parts; n++ {
			p.story.world.Run(3 * time.Second)
			p.part(id, n, whole[n*bytes:(n+1)*bytes])
		}
		finish(file, id)
		require.True(t, p.story.world.RunUntil(p.compacted, time.Minute), "seed %d: %v", seed, p.volumes())
		after, dropped := p.volumes(), 0
		for v := range before {
			if after[v] == nil {
				dropped++
			}
		}
		assert.NotZero(t, dropped, "seed %d", seed)
		row, ok := p.story.catalogAt(0).Stat(clientTenant, "/models/late")
		require.True(t, ok)
		assert.NotZero(t, row.Manifest, "it has many pieces")
		p.checkKept(kept)
	}
}
