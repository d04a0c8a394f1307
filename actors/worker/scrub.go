package worker

import (
	"cmp"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/pace"
	"tiercel/messages"
	"tiercel/store"
)

// Limits of checking.
const (
	maxChecks           = 10_000   // volumes that wait to be looked at
	checkBytesPerSecond = 64 << 20 // of a copy that a read did not match
	scrubAgain          = time.Hour
	maxChecked          = 1_000_000
	maxAnnounced        = 100 // damaged copies told to the master in one round
)

// scrub reads copies and compares them with what was sealed, one at a time: those
// that somebody is in doubt of first, then those of a job, then by itself the one
// whose last check is longest ago.
type scrub struct {
	turns
	checked map[uint64]time.Time // in this life
	first   uint64               // by itself it begins somewhere, so that a node that restarts often sees all
	due     []uint64
	doubted []uint64
	job     *scrubJob
	now     *check
}

// check is the copy that is being read.
type check struct {
	volume uint64
	by     checkedBy
	job    *scrubJob  // byJob
	ask    *verifyAsk // byOrder
	copy   *store.CopyCheck
	paid   uint64 // bytes of the step under way

	abandoned bool // its job was paused
}

type checkedBy uint8

const (
	byDoubt checkedBy = iota
	byJob
	bySelf
	byOrder // beside the others, under the node's limit of background work
)

// scrubJob is how far a job is on this worker.
type scrubJob struct {
	id, bytesPerSecond uint64
	left               []uint64
	total, done        uint64
	checked, damaged   uint64
	paused             bool
}

type checkOpened struct {
	check *check
	err   error
}

type checkStepped struct {
	check *check
	read  uint64
	done  bool
	err   error
}

type checkEnded struct {
	check *check
	cause string
	err   error
	gone  bool // it could not be opened
}

type checkDueNow struct{ check *check }

// scrubbed tells whether a copy is one to check: it holds something, and is not
// being received. Of one that takes appends what is durable by now is checked; a bad
// record there makes the master seal it, so that it is mended like any other.
func scrubbed(s *store.VolumeState) bool {
	return !s.Partial && !s.Broken && s.Watermark > store.DataStart
}

// onCheckCopy puts a copy that a read did not match in front.
func (w *Worker) onCheckCopy(ctx *runtime.Context, m *messages.CheckCopy) {
	s := &w.scrub
	if len(s.doubted) >= maxChecks || slices.Contains(s.doubted, m.Volume) || s.now != nil && s.now.by == byDoubt && s.now.volume == m.Volume {
		return
	}
	s.doubted = append(s.doubted, m.Volume)
	w.scrubOn(ctx)
}

// checkSuspects takes over what reads of this node have met.
func (w *Worker) checkSuspects(ctx *runtime.Context) {
	for _, id := range w.cfg.Volumes.TakeSuspects() {
		w.onCheckCopy(ctx, &messages.CheckCopy{Volume: uint64(id)})
	}
}

// scrubCopies begins a job, or goes on with it, and says how far it is.
func (w *Worker) scrubCopies(ctx *runtime.Context, to *actor.PID, m *messages.ScrubCopies) {
	s := &w.scrub
	if s.job == nil || s.job.id != m.Job {
		if s.job != nil {
			s.job.paused = true
		}
		s.job = &scrubJob{id: m.Job}
		states := w.cfg.Volumes.States()
		for i := range states {
			if scrubbed(&states[i]) {
				s.job.left = append(s.job.left, uint64(states[i].ID))
				s.job.total += states[i].Watermark
			}
		}
	}
	j := s.job
	j.bytesPerSecond, j.paused = m.BytesPerSecond, m.Pause
	w.scrubOn(ctx)
	running := s.now != nil && s.now.job == j
	ctx.Send(to, &messages.ScrubCopiesReply{
		Header: messages.ReplyHeader(m.Header), Job: j.id, Node: string(ctx.Runtime().Node()),
		TotalBytes: j.total, DoneBytes: j.done, Checked: j.checked, Damaged: j.damaged, Finished: len(j.left) == 0 && !running,
	})
}

// scrubOn begins the next check, if there is one and none is under way.
func (w *Worker) scrubOn(ctx *runtime.Context) {
	s := &w.scrub
	if s.now != nil {
		return
	}
	c := &check{}
	switch {
	case len(s.doubted) > 0:
		c.volume, s.doubted = s.doubted[0], s.doubted[1:]
	case s.job != nil && len(s.job.left) > 0 && !s.job.paused:
		c.by, c.job, c.volume, s.job.left = byJob, s.job, s.job.left[0], s.job.left[1:]
	case len(s.due) > 0 && w.settings.GetScrubBytesPerSecond() > 0:
		c.by, c.volume, s.due = bySelf, s.due[0], s.due[1:]
	default:
		return
	}
	s.now = c
	volumes := w.cfg.Volumes
	ctx.Offload(func() any {
		copy, err := volumes.OpenCheck(model.VolumeID(c.volume))
		c.copy = copy
		return &checkOpened{check: c, err: err}
	})
}

// planScrub orders the copies that are due by themselves: those whose last check is
// longest ago first, of equals from first on, once around.
func (w *Worker) planScrub(ctx *runtime.Context, states []store.VolumeState) {
	s := &w.scrub
	if w.settings.GetScrubBytesPerSecond() == 0 || len(s.due) > 0 || len(states) == 0 {
		return
	}
	if s.first == 0 {
		s.first = 1 + ctx.Rand()%uint64(states[len(states)-1].ID)
	}
	at, _ := slices.BinarySearchFunc(states, s.first, func(a store.VolumeState, id uint64) int { return cmp.Compare(uint64(a.ID), id) })
	before := ctx.Now().Add(-scrubAgain)
	for i := range states {
		state := &states[(at+i)%len(states)]
		if scrubbed(state) && s.checked[uint64(state.ID)].Before(before) {
			s.due = append(s.due, uint64(state.ID))
		}
	}
	slices.SortStableFunc(s.due, func(a, b uint64) int { return s.checked[a].Compare(s.checked[b]) })
}

func (w *Worker) onCheckOpened(ctx *runtime.Context, m *checkOpened) {
	if m.err != nil { // it is gone, or not whole yet
		w.onCheckEnded(ctx, &checkEnded{check: m.check, gone: true})
		return
	}
	w.nextStep(ctx, m.check)
}

// scrubRate is what the check under way may read in a second.
func (w *Worker) scrubRate(c *check) uint64 {
	switch c.by {
	case byDoubt:
		return checkBytesPerSecond
	case byJob:
		return c.job.bytesPerSecond
	case byOrder:
		return w.settings.GetNodeBackgroundBytesPerSecond()
	}
	return w.settings.GetScrubBytesPerSecond()
}

// turnsOf is whose turn it waits for.
func (w *Worker) turnsOf(c *check) *turns {
	if c.by == byOrder {
		return &w.verifies
	}
	return &w.scrub.turns
}

func (w *Worker) nextStep(ctx *runtime.Context, c *check) {
	rate := w.scrubRate(c)
	c.paid = min(pace.Piece(rate), c.copy.TotalBytes())
	if wait := w.turnsOf(c).take(ctx.Now(), rate, c.paid, w.load.foreground); wait > 0 {
		ctx.After(wait, checkDueNow{c})
		return
	}
	w.step(ctx, c)
}

func (w *Worker) step(ctx *runtime.Context, c *check) {
	most := int(pace.Piece(w.scrubRate(c)))
	ctx.Offload(func() any {
		read, done, err := c.copy.Step(most)
		return &checkStepped{check: c, read: read, done: done, err: err}
	})
}

func (w *Worker) onCheckStepped(ctx *runtime.Context, m *checkStepped) {
	c := m.check
	if m.read > c.paid { // the last record of a step is verified whole; the next step waits for it
		w.turnsOf(c).bucket.Take(ctx.Now(), m.read-c.paid)
	}
	if c.by == byJob {
		c.job.done += m.read
	}
	resting := c.by == byJob && c.job.paused && !m.done
	if resting { // it begins with this copy again, if at all
		c.job.done -= min(c.job.done, c.copy.ReadBytes())
		c.job.left, c.abandoned = append([]uint64{c.volume}, c.job.left...), true
	}
	if !m.done && !resting {
		w.nextStep(ctx, c)
		return
	}
	failed := m.err
	ctx.Offload(func() any {
		cause, err := c.copy.Finish(resting || failed != nil)
		if failed != nil {
			err = failed
		}
		return &checkEnded{check: c, cause: cause, err: err}
	})
}

func (w *Worker) onCheckEnded(ctx *runtime.Context, m *checkEnded) {
	c, s := m.check, &w.scrub
	if c.by == byOrder {
		w.endVerify(ctx, m)
	} else {
		s.now = nil
	}
	if c.abandoned && m.err == nil {
		w.scrubOn(ctx)
		return
	}
	if s.checked == nil {
		s.checked = make(map[uint64]time.Time)
	}
	s.checked[c.volume] = ctx.Now()
	if len(s.checked) > maxChecked {
		clear(s.checked) // most are of volumes that are gone
	}
	w.noteDisk(ctx, c.volume, m.err)
	if c.by == byJob {
		c.job.checked++
	}
	if m.err != nil {
		ctx.Log().Warn("a copy could not be checked", "volume", c.volume, "error", m.err)
	}
	if m.cause != "" {
		if c.by == byJob {
			c.job.damaged++
		}
		ctx.Log().Error("a copy is damaged; it is made anew from an intact one, where there is one", "volume", c.volume, "cause", m.cause)
		if state, here := w.cfg.Volumes.State(model.VolumeID(c.volume)); here {
			w.announceDamage(ctx, []store.VolumeState{state})
		}
	}
	w.scrubOn(ctx)
}

// announceDamage tells the master which copies are damaged, until its orders have
// changed that.
func (w *Worker) announceDamage(ctx *runtime.Context, states []store.VolumeState) {
	told := 0
	for i := range states {
		s := &states[i]
		if s.Damage == "" {
			continue
		}
		if told++; told > maxAnnounced {
			return // the rest is in the reports of volumes
		}
		ctx.Send(w.master, &messages.CopyDamaged{
			Node: string(ctx.Runtime().Node()), Volume: uint64(s.ID), Generation: s.Generation, ReplicaGen: s.ReplicaGen, Cause: s.Damage,
		})
	}
}
