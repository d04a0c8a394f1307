package master

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// backupWait is somebody who wants a snapshot of the catalog as it is now.
type backupWait struct {
	to      *actor.PID
	header  *messages.Header
	number  uint64
	index   uint64 // that it must show; 0: a quorum is being asked
	since   time.Time
	askedAt time.Time
}

// Limits of backups.
const (
	maxBackups     = 16
	backupPatience = 25 * time.Second
	backupAgain    = 2 * time.Second // then a question is repeated
)

// onPrepareBackup asks a quorum how far the log is: a backup shows every write that
// was acknowledged before it was asked for.
func (a *Archivist) onPrepareBackup(ctx *runtime.Context, m *messages.PrepareBackup) {
	if len(a.backups) >= maxBackups {
		a.answerBackup(ctx, &backupWait{to: ctx.Sender(), header: m.Header}, nil, model.Errorf(model.CodeOverloaded, "backup",
			"%d backups are being prepared; try again later", maxBackups))
		return
	}
	a.number++
	b := &backupWait{to: ctx.Sender(), header: m.Header, number: a.number, since: ctx.Now()}
	a.backups = append(a.backups, b)
	a.askBackup(ctx, b)
}

// askBackup asks for what a backup waits for.
func (a *Archivist) askBackup(ctx *runtime.Context, b *backupWait) {
	b.askedAt = ctx.Now()
	log := ctx.Runtime().Local(a.cfg.LogPath)
	if b.index == 0 {
		ctx.Request(log, &messages.ReadIndex{Header: &messages.Header{Request: b.number}})
		return
	}
	ctx.Request(log, &messages.WantSnapshot{Header: &messages.Header{}})
}

func (a *Archivist) onBackupIndex(ctx *runtime.Context, m *messages.ReadIndexReply) {
	for _, b := range a.backups {
		if b.number == m.Header.GetRequest() && b.index == 0 && m.Error == nil {
			b.index = max(m.Index, 1)
			a.askBackup(ctx, b)
		}
	}
}

// backupTaken answers those whom a snapshot shows enough, and asks again for others.
func (a *Archivist) backupTaken(ctx *runtime.Context, m *messages.SnapshotTaken) {
	if m.Error != nil {
		return // asked again by the sweep
	}
	kept := a.backups[:0:0]
	for _, b := range a.backups {
		if b.index == 0 || m.Index < b.index {
			kept = append(kept, b)
			continue
		}
		a.answerBackup(ctx, b, m, nil)
	}
	a.backups = kept
}

func (a *Archivist) answerBackup(ctx *runtime.Context, b *backupWait, taken *messages.SnapshotTaken, err error) {
	ctx.Send(b.to, &messages.PrepareBackupReply{
		Header: messages.ReplyHeader(b.header), Error: messages.FromError(err), Index: taken.GetIndex(), Term: taken.GetTerm(),
		ClusterId: a.cfg.Bootstrap.GetClusterId(), Generation: a.cfg.Generation,
	})
}

func (a *Archivist) sweepBackups(ctx *runtime.Context) {
	now := ctx.Now()
	kept := a.backups[:0:0]
	for _, b := range a.backups {
		if now.Sub(b.since) > backupPatience {
			a.answerBackup(ctx, b, nil, model.Errorf(model.CodeUnavailable, "backup", "no snapshot of the catalog was taken within %v; try again", backupPatience))
			continue
		}
		kept = append(kept, b)
		if now.Sub(b.askedAt) >= backupAgain {
			a.askBackup(ctx, b)
		}
	}
	a.backups = kept
}
