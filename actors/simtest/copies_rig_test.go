package simtest

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// copies is a probe that orders workers about, as a master of an epoch far above
// that of the cluster's own, which they obey no more. Actors at the paths of a
// master's coordinator and foreman hear what the workers say to theirs.
type copies struct {
	*probe
	term    uint64
	damaged []*messages.CopyDamaged
	asked   []*messages.AskBandwidth
	grant   func(ctx *runtime.Context, m *messages.AskBandwidth) // nil: the foreman is silent
}

const testVolume = 900 // no volume of the cluster

func newCopies(t *testing.T, seed uint64) *copies {
	c := &copies{probe: newClusterProbe(t, seed, 3), term: 1 << 20}
	hears := func(path string, hear hearing) {
		_, err := c.rt.SpawnRoot(path, func() runtime.Actor { return hear })
		require.NoError(t, err)
	}
	hears("node/master/coordinator", func(_ *runtime.Context, msg any) {
		if m, ok := msg.(*messages.CopyDamaged); ok {
			c.damaged = append(c.damaged, m)
		}
	})
	hears("node/master/foreman", func(ctx *runtime.Context, msg any) {
		if m, ok := msg.(*messages.AskBandwidth); ok {
			c.asked = append(c.asked, m)
			if c.grant != nil {
				c.grant(ctx, m)
			}
		}
	})
	c.at(0)
	return c
}

type hearing func(ctx *runtime.Context, msg any)

func (h hearing) Receive(ctx *runtime.Context, msg any) { h(ctx, msg) }

// at speaks to one of the three workers, which obeys this master only.
func (c *copies) at(i int) *host {
	c.host = c.story.hosts[i]
	require.Nil(c.t, ask[*messages.ReportVolumesReply](c.probe, workerPath, &messages.ReportVolumes{Header: c.order()}).Error)
	return c.host
}

func (c *copies) order() *messages.Header {
	h := c.header()
	h.EpochGeneration, h.EpochTerm = c.story.master().catalog.Cluster().Generation, c.term
	return h
}

// sealedCopy is what the test knows of a whole copy.
type sealedCopy struct {
	id     uint64
	bytes  []byte
	digest []byte
	placed []store.Placed
}

// seal makes a sealed copy of replica generation 1 on a host.
func (c *copies) seal(h *host, id uint64, bodies ...int) *sealedCopy {
	c.t.Helper()
	v := h.data.Volumes
	w, err := v.Create(model.TierCritical, model.VolumeID(id), 1, 1)
	require.NoError(c.t, err)
	s := &sealedCopy{id: id}
	for i, size := range bodies {
		p, err := w.AppendBatch([]store.Record{{Tenant: "t", Path: "/a", Session: 1, Sequence: uint64(i + 1), Parts: 1, Body: bytes.Repeat([]byte{byte(i + 1)}, size)}}, true)
		require.NoError(c.t, err)
		s.placed = append(s.placed, p...)
	}
	end, err := v.Fence(model.VolumeID(id))
	require.NoError(c.t, err)
	s.digest, err = v.Seal(model.VolumeID(id), end)
	require.NoError(c.t, err)
	s.bytes = c.bytesOn(h, id)
	require.Len(c.t, s.bytes, int(end))
	return s
}

func volumeFile(id uint64) string { return "volumes/t1/" + model.VolumeID(id).String() + ".vol" }

func (c *copies) bytesOn(h *host, id uint64) []byte { return c.fileOn(h, volumeFile(id)) }

func (c *copies) fileOn(h *host, name string) []byte {
	c.t.Helper()
	f, err := h.node.FS().OpenReadOnly(name)
	require.NoError(c.t, err)
	size, err := f.Size()
	require.NoError(c.t, err)
	p := make([]byte, size)
	if _, err = f.ReadAt(p, 0); err != io.EOF {
		require.NoError(c.t, err)
	}
	require.NoError(c.t, f.Close())
	return p
}

func (c *copies) spoil(h *host, id uint64, at int64) {
	c.t.Helper()
	f, err := h.node.FS().Open(volumeFile(id))
	require.NoError(c.t, err)
	p := make([]byte, 1)
	_, err = f.ReadAt(p, at)
	require.NoError(c.t, err)
	p[0] ^= 1
	_, err = f.WriteAt(p, at)
	require.NoError(c.t, err)
	require.NoError(c.t, f.Sync())
	require.NoError(c.t, f.Close())
}

// settleOrder for a copy of s as replicaGen, from other workers.
func (c *copies) settleOrder(s *sealedCopy, replicaGen uint64, sources ...int) *messages.SettleVolume {
	m := &messages.SettleVolume{
		Header: c.order(), Volume: s.id, Tier: 1, Generation: 1, ReplicaGen: replicaGen, SealedEnd: uint64(len(s.bytes)), Digest: s.digest,
	}
	for _, i := range sources {
		m.Sources = append(m.Sources, string(c.story.hosts[i].name))
	}
	return m
}

func (c *copies) settle(m *messages.SettleVolume) *messages.SettleVolumeReply {
	c.t.Helper()
	return ask[*messages.SettleVolumeReply](c.probe, workerPath, m)
}

func (c *copies) drop(s *sealedCopy, replicaGen uint64, setAside bool) *messages.DropCopyReply {
	c.t.Helper()
	return ask[*messages.DropCopyReply](c.probe, workerPath, &messages.DropCopy{
		Header: c.order(), Volume: s.id, ReplicaGen: replicaGen, SetAside: setAside, Cause: "a test",
	})
}

// report of a copy on the host spoken to; nil: there is none.
func (c *copies) report(id uint64) *messages.VolumeReport {
	c.t.Helper()
	r := ask[*messages.ReportVolumesReply](c.probe, workerPath, &messages.ReportVolumes{Header: c.order(), Volumes: []uint64{id}})
	require.Nil(c.t, r.Error)
	if len(r.Volumes) == 0 {
		return nil
	}
	return r.Volumes[0]
}

func (c *copies) requireWhole(s *sealedCopy, r *messages.SettleVolumeReply, replicaGen uint64) {
	c.t.Helper()
	require.Nil(c.t, r.Error)
	require.Equal(c.t, s.digest, r.Digest)
	require.EqualValues(c.t, len(s.bytes), r.End)
	require.True(c.t, bytes.Equal(s.bytes, c.bytesOn(c.host, s.id)), "byte-identical")
	v := c.report(s.id)
	require.True(c.t, v.Sealed && v.Fenced && !v.Writable, "%v", v)
	require.Equal(c.t, replicaGen, v.ReplicaGen)
	require.Empty(c.t, v.Damage)
}

func (c *copies) listed(h *host, dir string) []string {
	c.t.Helper()
	names, err := h.node.FS().List(dir)
	require.NoError(c.t, err)
	return names
}
