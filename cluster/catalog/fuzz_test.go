package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/messages"
)

// FuzzApply feeds whatever decodes as a command to a catalog with a row of
// every kind: it may refuse or halt, but not panic, and what it accepts leaves
// the state consistent.
func FuzzApply(f *testing.F) {
	for _, cmd := range []*messages.Command{
		bootstrap(), openSession("n-gw", 2), createVolume(1, "n-1"), seal(1, 1, 9), reopen(1, 1, 9), masterStarted("n-1", 2),
		putFile(&messages.PutFile{File: file("/a", 1), Extents: []*messages.Extent{{Volume: 1, Generation: 1, Offset: 1 << 20, RecordBytes: 9, BodyBytes: 1}}}),
		deleteFile("/big", &messages.Conditions{Versions: []uint64{8}}), moveFile("/a", "/big", true),
		as(6, 2, 1, stage(9, 65, []*messages.Extent{{Volume: 1, Generation: 1, RecordBytes: 9}})),
		as(6, 2, 1, commitUpload(file("/u", 650), 9, 65)), as(5, 9, 9, abortUpload(9)), checkHash(11, make([]byte, 16)), {},
		setQuota("default", 5), removeQuota("default"), retireVolume(1, 1), dropVolume(1, 1), moveExtents(&messages.MoveExtents{Tenant: "default", Path: "/a", Version: 7, Moves: []*messages.ExtentMove{{}}}),
		{Kind: &messages.Command_RegisterWorker{RegisterWorker: &messages.RegisterWorker{Node: "n", Worker: &messages.WorkerRow{}}}},
	} {
		f.Add([]byte(encode(f, cmd)))
	}
	for _, cmd := range extremes() {
		if data, err := proto.Marshal(cmd); err == nil { // what is not UTF-8 cannot be logged
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd := &messages.Command{}
		if proto.Unmarshal(data, cmd) != nil {
			return
		}
		r := full(t)
		if _, err := r.c.Apply(r.index+1, cmd); err != nil {
			return
		}
		require.Empty(t, r.c.Verify())
	})
}
