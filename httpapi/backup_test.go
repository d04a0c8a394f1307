package httpapi

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// fakeBackup is the snapshot that the fake has.
type fakeBackup struct {
	content []byte
	gone    uint64 // from this offset on it cannot be read; 0: it can
	archive *messages.DescribeArchiveReply
}

func (g *fakeGateway) PrepareBackup(context.Context) (*messages.PrepareBackupReply, error) {
	if g.notReady != "" {
		return nil, errNoMaster
	}
	return &messages.PrepareBackupReply{Index: 77, Term: 3, ClusterId: "c-1", Generation: 2}, nil
}

func (g *fakeGateway) ReadBackup(_ context.Context, index, offset uint64) (*messages.FetchSnapshotReply, error) {
	const piece = 100_000
	b := &g.backup
	if index != 77 || b.gone != 0 && offset >= b.gone {
		return nil, model.Errorf(model.CodeNotFound, "backup", "there is no snapshot %d", index)
	}
	end := min(offset+piece, uint64(len(b.content)))
	return &messages.FetchSnapshotReply{Index: index, Offset: offset, Data: b.content[offset:end], Last: end == uint64(len(b.content)), TotalBytes: uint64(len(b.content))}, nil
}

func (g *fakeGateway) Archive(context.Context) (*messages.DescribeArchiveReply, error) {
	if g.backup.archive == nil {
		return nil, errNoMaster
	}
	return g.backup.archive, nil
}

const backupURL = "http://tiercel/api/v1/storage/cluster/backup"

func TestBackup_StreamsTheSnapshotAndNamesItsIndex(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.backup.content = pattern(345_678)
	r := w.do("GET", backupURL, nil)
	require.Equal(t, 200, r.status)
	assert.Equal(t, w.gw.backup.content, r.body)
	assert.Equal(t, "77", r.header.Get("X-Backup-Index"))
	assert.Equal(t, "2", r.header.Get("X-Backup-Generation"))
	assert.Equal(t, "c-1", r.header.Get("X-Cluster-Id"))
	assert.Equal(t, "345678", r.header.Get("Content-Length"))
	assert.Zero(t, w.server.inFlight.Load())

	wantError(t, w.do("GET", backupURL+"?from=1", nil), 400, "invalid_argument")
	w.gw.backup.gone = 1
	w.gw.backup.content = nil
	wantError(t, w.do("GET", backupURL, nil), 500, "internal")
	w.gw.notReady = "an election"
	wantError(t, w.do("GET", backupURL, nil), 503, "no_master")
}

// One that was cut off holds less than everything, and the log does not call it done.
func TestBackup_IsInTheAuditLogWithWhatBecameOfItsStream(t *testing.T) {
	for gone, want := range map[uint64]struct{ outcome, detail string }{
		0: {Done, ""}, 200_000: {"unavailable", "the answer was cut after 200000 of 345678 bytes"},
	} {
		heard := make(chan Action, 2)
		w := inMemory(t, Config{Audit: func(a Action) { heard <- a }})
		w.gw.backup.content, w.gw.backup.gone = pattern(345_678), gone
		r := w.do("GET", backupURL, nil)
		assert.Equal(t, gone != 0, r.err != nil)
		a := <-heard
		assert.Equal(t, want.outcome, a.Outcome)
		assert.Equal(t, want.detail, a.Detail)
		assert.Equal(t, 200, a.Status)
		assert.Empty(t, heard, "one line")
	}
}

func TestStatus_SaysHowMuchARecoveryWouldMiss(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.status = func() (*messages.ClusterStatusReply, error) {
		return &messages.ClusterStatusReply{Cluster: &messages.ClusterRow{ClusterId: "c-1", Master: "n-1"}, State: "healthy", Ready: true}, nil
	}
	w.gw.backup.archive = &messages.DescribeArchiveReply{
		CheckpointIndex: 40, CheckpointBytes: 900, JournalIndex: 77, LagMs: 2500, IntervalMs: 2000, StoredBytes: 1200, Failure: "write the journal: the disks are full",
	}
	body := string(w.do("GET", "http://tiercel/api/v1/storage/cluster/status", nil).body)
	assert.Contains(t, body, `"archive":{"checkpoint_index":40,"checkpoint_bytes":900,"checkpoint_at":null,"journal_index":77,"lag_seconds":2.5,"stored_bytes":1200,"failure":"write the journal: the disks are full"}`)
	assert.Contains(t, body, "only under /lost+found")
	doc, _ := readDocument(t)
	assertDescribed(t, doc, "ClusterStatus", []byte(body))
}
