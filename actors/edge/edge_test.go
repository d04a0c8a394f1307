package edge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

func TestClient_WhatGoesInComesOutAtEverySize(t *testing.T) {
	dir := t.TempDir()
	n, stop := start(t, dir, 0)
	sizes := []int{0, 1, 4096, 8 << 10, 8<<10 + 1, 64 << 10, 512<<10 + 3, model.MaxExtentBytes, model.MaxExtentBytes + 1, 5*model.MaxExtentBytes + 17}
	for _, size := range sizes {
		for name, change := range map[string]func(*model.PutRequest){"/models/declared": func(*model.PutRequest) {}, "/models/chunked": unknownSize} {
			body := content(size)
			r, err := n.Put(t.Context(), put(name, body, change))
			require.NoError(t, err, "%s %d", name, size)
			assert.Equal(t, uint64(size), r.Row.SizeBytes)
			assert.Equal(t, crc(body), r.Row.Crc32C)
			require.NotEmpty(t, r.Volumes)
			assert.True(t, bytes.Equal(body, n.read(t, name)), "%s %d", name, size)
		}
	}
	last := content(sizes[len(sizes)-1])
	stop()
	n, _ = start(t, dir, 0)
	assert.True(t, bytes.Equal(last, n.read(t, "/models/declared")), "after a restart")
}

// broken ends early, or with an error of its own.
type broken struct {
	io.Reader
	err error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func TestClient_ABodyThatIsNotAsAnnouncedStoresNothing(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0)
	for _, size := range []int{100, 3 * model.MaxExtentBytes} {
		body := content(size)
		wrong := crc(body) + 1
		tests := map[string]*model.PutRequest{
			"shorter": put("/models/x", body, func(r *model.PutRequest) { r.Size++ }),
			"longer":  put("/models/x", body, func(r *model.PutRequest) { r.Size-- }),
			"cut": put("/models/x", nil, func(r *model.PutRequest) {
				r.Size, r.Body = int64(size+1), broken{bytes.NewReader(body), io.ErrUnexpectedEOF}
			}),
			"broken":         put("/models/x", nil, func(r *model.PutRequest) { r.Size, r.Body = -1, broken{bytes.NewReader(body), errors.New("reset")} }),
			"wrong checksum": put("/models/x", body, func(r *model.PutRequest) { r.Checksum = &wrong }),
		}
		for name, req := range tests {
			_, err := n.Put(t.Context(), req)
			assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), "%s of %d: %v", name, size, err)
			_, err = n.Stat(t.Context(), "default", "/models/x", false)
			assert.Equal(t, model.CodeNotFound, model.CodeOf(err), "%s of %d", name, size)
		}
	}
	status := awaited(t, n.Status)
	assert.Zero(t, status.Totals[0].Files)
}

func TestClient_ConditionsAreJudgedAndRefusalsSayTheVersion(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0)
	ifMatch := func(v ...uint64) func(*model.PutRequest) {
		return func(r *model.PutRequest) { r.IfMatch, r.Versions = true, v }
	}
	ifAbsent := func(r *model.PutRequest) { r.MustNotExist = true }
	_, err := n.Put(t.Context(), put("/models/x", []byte("a"), ifMatch(7)))
	assert.Equal(t, model.CodePreconditionFailed, model.CodeOf(err), "there is no file yet")
	r, err := n.Put(t.Context(), put("/models/x", []byte("a"), ifAbsent))
	require.NoError(t, err)
	assert.True(t, r.Result.Created)
	_, err = n.Put(t.Context(), put("/models/x", []byte("b"), ifAbsent))
	assert.Equal(t, model.CodePreconditionFailed, model.CodeOf(err))
	_, err = n.Put(t.Context(), put("/models/x", []byte("b"), ifMatch()))
	assert.Equal(t, model.CodePreconditionFailed, model.CodeOf(err), "a list that names no version of ours never matches")
	r2, err := n.Put(t.Context(), put("/models/x", []byte("b"), ifMatch(1, r.Result.Version)))
	require.NoError(t, err)
	assert.Greater(t, r2.Result.Version, r.Result.Version)
	_, err = n.Delete(t.Context(), "default", "/models/x", &messages.Conditions{Versions: []uint64{r.Result.Version}})
	assert.Equal(t, model.CodePreconditionFailed, model.CodeOf(err))
	assert.Equal(t, []byte("b"), n.read(t, "/models/x"))
}

func TestClient_AnIdempotencyKeyMakesARetryHarmless(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0)
	keyed := func(r *model.PutRequest) { r.IdempotencyKey = "k1" }
	for _, size := range []int{100, 2*model.MaxExtentBytes + 1} {
		path := "/models/small"
		if size > 100 {
			path = "/models/large"
			keyed = func(r *model.PutRequest) { r.IdempotencyKey = "k2" }
		}
		n.stats.Store(0)
		first, err := n.Put(t.Context(), put(path, content(size), keyed))
		require.NoError(t, err)
		if size <= model.MaxExtentBytes {
			// A read waits for a master; this write is done, and nobody knows more of it.
			assert.Zero(t, n.stats.Load(), "reads before the answer")
		}
		again, err := n.Put(t.Context(), put(path, content(size), keyed))
		require.NoError(t, err)
		assert.Equal(t, first.Result.Version, again.Result.Version)
		require.Equal(t, len(first.Row.Extents), len(again.Row.Extents))
		for i, e := range first.Row.Extents {
			assert.Equal(t, e.Offset, again.Row.Extents[i].Offset, "not where the second body went")
		}
		_, err = n.Put(t.Context(), put(path, content(size+1), keyed))
		assert.Equal(t, model.CodeConflict, model.CodeOf(err))
	}
}

func TestClient_CopyAndRetierKeepContentAndAttributes(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0)
	body := content(2*model.MaxExtentBytes + 5)
	_, err := n.Put(t.Context(), put("/models/a", body, func(r *model.PutRequest) {
		r.ContentType, r.Meta = "text/plain", map[string]string{"k": "v"}
	}))
	require.NoError(t, err)
	_, err = n.Copy(t.Context(), "default", "/models/a", "/cache/b", false)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(body, n.read(t, "/cache/b")))
	s, err := n.Stat(t.Context(), "default", "/cache/b", false)
	require.NoError(t, err)
	assert.Equal(t, uint32(3), s.Row.Tier, "the new path decides")
	assert.Equal(t, map[string]string{"k": "v"}, s.Row.Meta)
	_, err = n.Copy(t.Context(), "default", "/models/a", "/cache/b", false)
	assert.Equal(t, model.CodeConflict, model.CodeOf(err))

	before, err := n.Stat(t.Context(), "default", "/models/a", false)
	require.NoError(t, err)
	out, err := n.Retier(t.Context(), &model.RetierRequest{Tenant: "default", Prefix: "/models/", Tier: model.TierImportant})
	require.NoError(t, err)
	assert.Equal(t, 1, out.Moved)
	after, err := n.Stat(t.Context(), "default", "/models/a", true)
	require.NoError(t, err)
	assert.Equal(t, uint32(2), after.Row.Tier)
	assert.Equal(t, before.Row.ModifiedUnixMs, after.Row.ModifiedUnixMs)
	assert.Equal(t, "text/plain", after.Row.ContentType)
	assert.True(t, bytes.Equal(body, n.read(t, "/models/a")))
}

// slow gives one byte and then nothing until its context ends.
type slow struct {
	ctx  context.Context
	sent bool
}

func (s *slow) Read(p []byte) (int, error) {
	if !s.sent {
		s.sent = true
		p[0] = 'x'
		return 1, nil
	}
	<-s.ctx.Done()
	return 0, io.ErrUnexpectedEOF
}

func TestClient_SlowBodiesOfDeclaredSizeLeaveCreditToOthers(t *testing.T) {
	n, _ := start(t, t.TempDir(), 32<<20)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 200 { // each declares 5 GiB: 1 TiB in all, against 32 MiB of credit
		wg.Go(func() {
			_, err := n.Put(ctx, &model.PutRequest{Tenant: "default", Path: "/models/slow", Size: 5 << 30, Body: &slow{ctx: ctx}})
			assert.Error(t, err)
		})
	}
	body := content(3 * model.MaxExtentBytes)
	_, err := n.Put(t.Context(), put("/models/quick", body))
	require.NoError(t, err, "200 slow bodies must not keep one out")
	cancel()
	wg.Wait()
	assert.True(t, bytes.Equal(body, n.read(t, "/models/quick")))
}

func TestClient_ManyAtOnce(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 50 {
				body := content(1 + (w*50+i)*97%20_000)
				path := "/sessions/" + string(rune('a'+w))
				if _, err := n.Put(t.Context(), put(path, body)); !assert.NoError(t, err) {
					return
				}
				s, err := n.Stat(t.Context(), "default", path, false)
				if !assert.NoError(t, err) || !assert.Equal(t, crc(body), s.Row.Crc32C, "a writer reads its own write") {
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestClient_AFlippedByteIsNeverServed(t *testing.T) {
	dir := t.TempDir()
	n, _ := start(t, dir, 0)
	for _, size := range []int{100, 300_000} {
		r, err := n.Put(t.Context(), put("/models/x", content(size)))
		require.NoError(t, err)
		e := r.Row.Extents[0]
		fs, err := store.NewDirFS(dir)
		require.NoError(t, err)
		f, err := fs.Open(fmt.Sprintf("volumes/t1/%d.vol", e.Volume))
		require.NoError(t, err)
		at := int64(e.Offset + e.RecordBytes - 7)
		var b [1]byte
		_, err = f.ReadAt(b[:], at)
		require.NoError(t, err)
		b[0] ^= 1
		_, err = f.WriteAt(b[:], at)
		require.NoError(t, err)
		require.NoError(t, f.Close())

		_, err = n.ReadExtent(t.Context(), e, 0, e.BodyBytes, nil)
		assert.Equal(t, model.CodeCorrupt, model.CodeOf(err), "%d bytes: %v", size, err)
	}
}

func TestCluster_ReadsTheTableThatGivesPathsTheirTiers(t *testing.T) {
	n, _ := start(t, t.TempDir(), 64<<20)
	c := awaited(t, n.Cluster)
	tier, reason := n.TierOf(c.Cluster.Tiers, "/cache/a")
	assert.Equal(t, model.TierRebuildable, tier)
	assert.Equal(t, "the path begins with /cache/", reason)
}

// neverRead is a body that nobody may touch.
type neverRead struct{ t *testing.T }

func (b neverRead) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func TestPut_OfALargeFileThatDoesNotFitReadsNoByteOfIt(t *testing.T) {
	n, stop := start(t, t.TempDir(), 64<<20)
	defer stop()
	limit := int64(1 << 20)
	_, err := n.ChangeQuota(t.Context(), "default", &limit)
	require.NoError(t, err)
	_, err = n.Put(t.Context(), &model.PutRequest{Tenant: "default", Path: "/models/large", Size: 20 << 20, Body: neverRead{t}})
	require.Equal(t, model.CodeQuotaExceeded, model.CodeOf(err), "%v", err)
	q, err := n.Quotas(t.Context(), "default", "", 1)
	require.NoError(t, err)
	assert.Zero(t, q.Quotas[0].ReservedBytes)
}
