package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func keyed(key string, cmd *messages.Command) *messages.Command {
	cmd.IdempotencyKey = key
	return cmd
}

func TestIdempotencyKey_AnswersTheSameWriteWithItsFirstResult(t *testing.T) {
	r := newRig(t)
	first := r.mustDo(keyed("k", r.put("/a", 10)))
	r.mustDo(r.put("/a", 99))
	before := r.rows()
	conditional := keyed("k", r.put("/a", 10))
	conditional.GetPutFile().File.Conditions = &messages.Conditions{MustNotExist: true}
	again := r.mustDo(conditional)
	assert.True(t, proto.Equal(first, again), "though the condition would fail now")
	assert.Equal(t, before, r.rows(), "the new extents are not used")
}

func TestIdempotencyKey_IsBoundToWhatItWasUsedFor(t *testing.T) {
	r := newRig(t)
	r.mustDo(keyed("k", r.put("/a", 10)))
	r.refuses(model.CodeConflict, keyed("k", r.put("/b", 10)))
	r.refuses(model.CodeConflict, keyed("k", r.put("/a", 11)))
	crc := keyed("k", r.put("/a", 10))
	crc.GetPutFile().File.Crc32C++
	r.refuses(model.CodeConflict, crc)
	other := keyed("k", r.put("/b", 10))
	other.GetPutFile().File.Tenant = "other"
	r.mustDo(other) // a key belongs to its tenant
}

func TestIdempotencyKey_OfARefusalIsFree(t *testing.T) {
	r := newRig(t)
	cmd := keyed("k", r.put("/a", 10))
	cmd.GetPutFile().File.Conditions = &messages.Conditions{MustExist: true}
	r.refuses(model.CodePreconditionFailed, cmd)
	r.mustDo(keyed("k", r.put("/b", 20)))
}

func TestIdempotencyKey_TheOldestIsForgottenAtTheCap(t *testing.T) {
	r := newRig(t) // keeps 3
	for _, key := range []string{"z", "a", "m"} {
		r.mustDo(keyed(key, r.put("/"+key, 10)))
	}
	r.mustDo(keyed("b", r.put("/b", 10)))
	assert.Equal(t, 3, r.ix.count("i/"))
	assert.Equal(t, 3, r.ix.count("j/"))
	row, _ := r.c.Tenant("default")
	assert.Equal(t, uint64(3), row.IdempotencyKeys)
	r.mustDo(keyed("z", r.put("/other", 10))) // z, the oldest, is free again
	r.refuses(model.CodeConflict, keyed("m", r.put("/other", 10)))
}

func TestIdempotencyKey_OfAnUploadDropsTheSecondUpload(t *testing.T) {
	r := newRig(t)
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 10, 10)))).Id
	first := r.mustDo(keyed("k", r.inSession(commitUpload(file("/u", 20), upload, 2))))
	live := r.volume(1).LiveBytes
	second := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 10, 10)))).Id
	r.refuses(model.CodeConflict, keyed("k", r.inSession(commitUpload(file("/v", 20), second, 2))))
	again := r.mustDo(keyed("k", r.inSession(commitUpload(file("/u", 20), second, 2))))
	assert.True(t, proto.Equal(first, again))
	assert.Zero(t, r.ix.count("u/"))
	assert.Equal(t, live, r.volume(1).LiveBytes)
}

func TestIdempotencyKey_CapOfZeroKeepsNone(t *testing.T) {
	r := emptyRig(t)
	boot := bootstrap()
	boot.GetBootstrap().IdempotencyKeysPerTenant = 0
	r.mustDo(boot)
	r.mustDo(createVolume(1, "n-1"))
	r.mustDo(keyed("k", r.put("/a", 10)))
	r.mustDo(keyed("k", r.put("/b", 10)))
	assert.Zero(t, r.ix.count("i/"))
}
