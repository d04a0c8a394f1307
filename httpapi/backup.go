package httpapi

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// archives are what operators ask about the catalog outside of the log.
type archives interface {
	// PrepareBackup has a snapshot of the catalog taken, and says at which log index.
	PrepareBackup(ctx context.Context) (*messages.PrepareBackupReply, error)
	// ReadBackup returns a piece of it; not_found when it is gone.
	ReadBackup(ctx context.Context, index, offset uint64) (*messages.FetchSnapshotReply, error)
	// Archive says how much of the catalog is in checkpoint and journal.
	Archive(ctx context.Context) (*messages.DescribeArchiveReply, error)
}

// backupStream is the body of a backup: a snapshot file, piece by piece as the client
// takes it. If a piece cannot be had the connection is cut before the declared length.
type backupStream struct {
	s     *Server
	index uint64
	at    uint64 // offset behind rest
	total uint64
	rest  []byte

	route *route
	start time.Time
	id    string
	told  *Action // for the audit log when it is over; nil: nobody asks
	done  bool
}

// backup answers GET /cluster/backup with the whole catalog at one log index, in the
// form of a snapshot file, which carries its own checksums.
func (c *call) backup() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	made, err := c.s.gw.PrepareBackup(ctx)
	if err != nil {
		return err
	}
	first, err := c.s.gw.ReadBackup(ctx, made.Index, 0)
	if err != nil {
		return err
	}
	if len(first.Data) == 0 || first.TotalBytes < uint64(len(first.Data)) {
		return model.Errorf(model.CodeInternal, "backup", "the snapshot at %d has no content", made.Index)
	}
	st := &backupStream{
		s: c.s, index: made.Index, at: uint64(len(first.Data)), total: first.TotalBytes, rest: first.Data,
		route: c.route, start: c.start, id: string(c.id),
	}
	h := &c.ctx.Response.Header
	h.SetContentType("application/vnd.tiercel.snapshot")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="tiercel-%s-%d.backup"`, made.ClusterId, made.Index))
	h.Set("X-Backup-Index", strconv.FormatUint(made.Index, 10))
	h.Set("X-Backup-Generation", strconv.FormatUint(made.Generation, 10))
	h.Set("X-Cluster-ID", made.ClusterId)
	h.Set("Cache-Control", "no-store")
	c.ctx.Response.SetStatusCode(fasthttp.StatusOK)
	st.told = c.action()
	c.streaming = true
	c.ctx.Response.SetBodyStream(st, int(st.total))
	return nil
}

// Read implements io.Reader.
func (st *backupStream) Read(p []byte) (int, error) {
	if len(st.rest) == 0 {
		if st.at == st.total {
			return 0, io.EOF
		}
		ctx, cancel := context.WithTimeout(st.s.base, st.s.cfg.RequestTimeout)
		piece, err := st.s.gw.ReadBackup(ctx, st.index, st.at)
		cancel()
		if err == nil && (len(piece.Data) == 0 || st.at+uint64(len(piece.Data)) > st.total) {
			err = model.Errorf(model.CodeInternal, "backup", "the snapshot at %d has changed while it was read", st.index)
		}
		if err != nil {
			st.s.cfg.Logger.Error("response cut", "request_id", st.id, "error", err.Error())
			return 0, err
		}
		st.rest, st.at = piece.Data, st.at+uint64(len(piece.Data))
	}
	n := copy(p, st.rest)
	st.rest = st.rest[n:]
	return n, nil
}

// Close closes the accounts of the request.
func (st *backupStream) Close() error {
	if st.done {
		return nil
	}
	st.done = true
	if len(st.rest) > 0 || st.at < st.total {
		st.s.met.cutResponses.Inc()
		if st.told != nil {
			st.told.Outcome, st.told.Detail = string(model.CodeUnavailable), fmt.Sprintf("the answer was cut after %d of %d bytes", st.at-uint64(len(st.rest)), st.total)
		}
	}
	if st.told != nil {
		st.s.cfg.Audit(*st.told)
	}
	st.route.metrics.observe(fasthttp.StatusOK, time.Since(st.start))
	st.s.inFlight.Add(-1)
	return nil
}

// statusArchive is how much a recovery would lose if every voter were lost now: what
// changed in the last lag_seconds, at most.
type statusArchive struct {
	CheckpointIndex uint64  `json:"checkpoint_index"` // 0: none yet
	CheckpointBytes uint64  `json:"checkpoint_bytes"`
	CheckpointAt    *string `json:"checkpoint_at"` // null: by an earlier master
	JournalIndex    uint64  `json:"journal_index"`
	LagSeconds      float64 `json:"lag_seconds"`
	StoredBytes     uint64  `json:"stored_bytes"`
	Failure         *string `json:"failure"` // of the newest try; null: it went well
}

// learnArchive adds what the master says of the archive, if it answers soon and keeps one.
func (a *statusAnswer) learnArchive(c *call, r *messages.ClusterStatusReply) {
	if r.Unchecked || a.State == "no_master" {
		return
	}
	ctx, cancel := c.context(debtPatience)
	defer cancel()
	told, err := c.s.gw.Archive(ctx)
	if err != nil || told.IntervalMs == 0 {
		return
	}
	a.Archive = &statusArchive{
		CheckpointIndex: told.CheckpointIndex, CheckpointBytes: told.CheckpointBytes, JournalIndex: told.JournalIndex,
		LagSeconds: float64(told.LagMs) / 1000, StoredBytes: told.StoredBytes,
	}
	if told.CheckpointUnixMs != 0 {
		at := time.UnixMilli(told.CheckpointUnixMs).UTC().Format(time.RFC3339)
		a.Archive.CheckpointAt = &at
	}
	if told.Failure != "" {
		a.Archive.Failure = &told.Failure
		a.Warnings = append(a.Warnings, fmt.Sprintf(
			"if every voter were lost now, changes of the last %.0f seconds would be found only under /lost+found: %s", a.Archive.LagSeconds, told.Failure))
	}
}
