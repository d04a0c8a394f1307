package edge

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// fakeCluster answers an edge as a gateway and its workers would: rows of volumes,
// one file, and what each node holds of each volume.
type fakeCluster struct {
	file      *messages.FileRow
	volumes   map[uint64]*messages.VolumeRow
	held      map[string]map[uint64][]byte // node -> volume -> content, one extent each
	unchecked bool
	down      bool // no gateway answers questions about volumes
	described int
	reads     int
	onRead    func(n int)
}

func (f *fakeCluster) Ask(_ context.Context, to *actor.PID, msg live.AskMessage) (proto.Message, error) {
	switch m := msg.(type) {
	case *messages.Stat:
		if f.file == nil {
			return &messages.StatReply{Error: &messages.Error{Code: string(model.CodeNotFound)}}, nil
		}
		r := &messages.StatReply{Row: f.file}
		for _, e := range f.file.Extents {
			r.Volumes = append(r.Volumes, f.volumes[e.Volume])
		}
		return r, nil
	case *messages.DescribeVolumes:
		f.described++
		if f.down {
			return nil, model.Errorf(model.CodeUnavailable, "ask", "no answer")
		}
		r := &messages.DescribeVolumesReply{Unchecked: f.unchecked}
		for _, id := range m.Volumes {
			if row := f.volumes[id]; row != nil {
				r.Volumes = append(r.Volumes, row)
			}
		}
		return r, nil
	case *messages.ReadExtent:
		f.reads++
		if f.onRead != nil {
			f.onRead(f.reads)
		}
		content, ok := f.held[to.Id][m.Extent.Volume]
		if !ok {
			return &messages.ReadExtentReply{Error: &messages.Error{Code: string(model.CodeUnavailable), Message: "not on this node"}}, nil
		}
		return &messages.ReadExtentReply{Body: content[m.From:m.To], Node: to.Id}, nil
	}
	return nil, model.Errorf(model.CodeInternal, "ask", "%T is not expected", msg)
}

func (f *fakeCluster) client() *Client {
	return New(Config{
		Asker: f, Gateway: actor.NewPID("here", "gateway"), Node: "n-edge", StepTimeout: time.Minute,
		Worker: func(n model.NodeID) *actor.PID { return actor.NewPID("there", string(n)) },
	})
}

func on(id uint64, nodes ...string) *messages.VolumeRow {
	row := &messages.VolumeRow{Id: id, State: messages.VolumeState_SEALED}
	for _, n := range nodes {
		row.Members = append(row.Members, &messages.VolumeMember{Node: n, Verified: true})
	}
	return row
}

func piece(volume uint64, bytes uint64) *messages.Extent {
	return &messages.Extent{Volume: volume, Generation: 1, RecordBytes: bytes + 40, BodyBytes: bytes}
}

func TestReadExtent_FindsTheVolumeOnTheWorkersThatHoldItNow(t *testing.T) {
	f := &fakeCluster{
		volumes: map[uint64]*messages.VolumeRow{7: on(7, "n-4")},
		held:    map[string]map[uint64][]byte{"n-4": {7: []byte("content")}},
	}
	c := f.client()
	c.holders.learn([]*messages.VolumeRow{on(7, "n-2", "n-3")}) // repaired since
	for range 2 {
		out, err := c.ReadExtent(t.Context(), piece(7, 7), 0, 7, []byte("> "))
		require.NoError(t, err)
		assert.Equal(t, "> content", string(out))
	}
	assert.Equal(t, 1, f.described, "what was learned is remembered")
}

func TestReadExtent_AsksOnceAndSaysWhatItKnows(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakeCluster)
		code   model.Code
	}{
		"the members are the same": {func(f *fakeCluster) { f.volumes[7] = on(7, "n-2", "n-3") }, model.CodeUnavailable},
		"the new ones fail, too":   {func(f *fakeCluster) { f.volumes[7] = on(7, "n-5") }, model.CodeUnavailable},
		"it was dropped":           {func(*fakeCluster) {}, model.CodeNotFound},
		"nobody can say so":        {func(f *fakeCluster) { f.unchecked = true }, model.CodeUnavailable},
		"there is no answer":       {func(f *fakeCluster) { f.down = true }, model.CodeUnavailable},
		"it was lost in the meantime": {func(f *fakeCluster) {
			f.volumes[7] = on(7, "n-2", "n-3")
			f.volumes[7].Lost = []*messages.LostRange{{To: 100}}
		}, model.CodeCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeCluster{volumes: map[uint64]*messages.VolumeRow{}}
			c.change(f)
			client := f.client()
			client.holders.learn([]*messages.VolumeRow{on(7, "n-2", "n-3")})
			out, err := client.ReadExtent(t.Context(), piece(7, 7), 0, 7, []byte("> "))
			assert.Equal(t, c.code, model.CodeOf(err), "%v", err)
			assert.Equal(t, "> ", string(out))
			assert.Equal(t, 1, f.described)
		})
	}
}

// moving is a file of three pieces whose volumes are dropped while it is read.
func moving() (f *fakeCluster, whole []byte) {
	f = &fakeCluster{volumes: map[uint64]*messages.VolumeRow{}, held: map[string]map[uint64][]byte{"n-2": {}}}
	f.file = &messages.FileRow{Version: 5, SizeBytes: 300}
	for i := range uint64(3) {
		content := bytes.Repeat([]byte{byte('a' + i)}, 100)
		content[50] = '!'
		whole = append(whole, content...)
		f.add(i+1, content)
		f.file.Extents = append(f.file.Extents, piece(i+1, 100))
	}
	return f, whole
}

func (f *fakeCluster) add(volume uint64, content []byte) {
	f.volumes[volume] = on(volume, "n-2")
	f.held["n-2"][volume] = content
}

// compact moves everything 10 volumes on and drops what held it.
func (f *fakeCluster) compact() {
	var moved []*messages.Extent
	for _, e := range f.file.Extents {
		f.add(e.Volume+10, f.held["n-2"][e.Volume])
		delete(f.volumes, e.Volume)
		delete(f.held["n-2"], e.Volume)
		moved = append(moved, piece(e.Volume+10, e.BodyBytes))
	}
	f.file = &messages.FileRow{Version: f.file.Version, SizeBytes: f.file.SizeBytes, Extents: moved}
}

func TestExtentReader_GoesOnWhereTheContentIsNow(t *testing.T) {
	for at := 1; at < 12; at++ {
		f, whole := moving()
		c := f.client()
		s, err := c.Stat(t.Context(), "default", "/a", false)
		require.NoError(t, err)
		f.onRead = func(n int) {
			if n == at || n == at+3 {
				f.compact()
			}
		}
		r := &extentReader{ctx: t.Context(), client: c, tenant: "default", path: "/a", version: 5, extents: s.Row.Extents}
		out, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(r, 1000)))
		require.NoError(t, err, "compacted at read %d", at)
		assert.Equal(t, string(whole), string(out), "compacted at read %d", at)
	}
}

func TestExtentReader_DoesNotMixTwoVersions(t *testing.T) {
	f, _ := moving()
	c := f.client()
	s, err := c.Stat(t.Context(), "default", "/a", false)
	require.NoError(t, err)
	r := &extentReader{ctx: t.Context(), client: c, tenant: "default", path: "/a", version: 5, extents: s.Row.Extents}
	_, err = io.ReadFull(r, make([]byte, 150))
	require.NoError(t, err)
	f.compact()
	f.file.Version = 6
	_, err = io.ReadAll(r)
	assert.Equal(t, model.CodeConflict, model.CodeOf(err), "%v", err)
}
