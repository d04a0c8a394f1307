package recovery

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"tiercel/cluster/archive"
	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

const op = "recover"

// Dir is a file system below a name for people.
type Dir struct {
	Name string
	FS   store.FS
	// Node is how the catalog knows it; empty: by the id in node.yaml.
	Node model.NodeID
}

// Options say what to recover from, and into what.
type Options struct {
	// Dirs are the data directories of stopped nodes. The first becomes the only voter
	// of the new log; the others become workers, which keep their volumes.
	Dirs []Dir
	// Backup is a file of `tiercel backup` to build on, instead of a checkpoint found in
	// the volumes. Its Name is that of the file in its FS; empty: none.
	Backup Dir
	// Carried are files of Export, from machines whose directories cannot be named here.
	Carried []Dir
	// Generation of the recovered cluster; 0: the next one that nobody here has seen.
	Generation uint64
	// Unlimited are tenants whose limit is taken away: what was found of them may not fit.
	Unlimited []string
	// LeaveOut recovers although something that was found may not be kept.
	LeaveOut bool
	// DiscardLog recovers although a log is intact.
	DiscardLog bool
	Random     io.Reader
	Now        time.Time
	Apply      bool // false: only say what would be done
	worker     bool // AsWorker: the cluster goes on, or was recovered elsewhere
}

// Report says what was found and done.
type Report struct {
	ClusterID   model.ClusterID `json:"cluster_id"`
	Generation  uint64          `json:"generation"`
	Fork        string          `json:"fork,omitempty"`   // empty in a plan
	Checkpoint  uint64          `json:"checkpoint_index"` // log index of the checkpoint or backup
	JournalTo   uint64          `json:"journal_index"`    // log index up to which the journal went
	Backup      bool            `json:"backup"`           // built on the backup
	LastWritten time.Time       `json:"last_written,omitzero"`
	Files       int64           `json:"files"` // of tenants, as Bytes
	Bytes       int64           `json:"logical_bytes"`
	Tenants     int             `json:"tenants"`                  // that have files
	OwnFiles    int64           `json:"own_files"`                // of the cluster itself: checkpoints and journal
	Absent      []model.NodeID  `json:"absent_workers,omitempty"` // of the catalog, in none of the directories
	Found       []Found         `json:"lost_and_found"`           // under /lost+found
	NotFound    []Found         `json:"not_kept"`                 // that could not be put there
	Identical   int64           `json:"identical"`                // records left out: what lies at their path is the same
	Elsewhere   int64           `json:"files_elsewhere"`          // files of which a part is in none of the directories
	Missing     []string        `json:"missing,omitempty"`
	Dirs        []DirReport     `json:"dirs"`
	Notes       []string        `json:"notes,omitempty"` // damage that was passed over
	Done        bool            `json:"done"`            // false: a plan, or it failed
}

// Found is a record that the recovered catalog does not know.
type Found struct {
	Tenant   string `json:"tenant"`
	Original string `json:"original,omitempty"`
	Path     string `json:"path,omitempty"`
	Bytes    uint64 `json:"size_bytes"`
	Reason   string `json:"reason,omitempty"` // why it could not be kept
	// Refused says that it is whole, and that the rules of the catalog refuse it.
	Refused bool `json:"refused,omitempty"`
}

// DirReport is what becomes of one directory.
type DirReport struct {
	Name    string       `json:"name"`
	Node    model.NodeID `json:"node"`
	Founder bool         `json:"founder"`
	Volumes int          `json:"volumes"`
	Aside   string       `json:"aside,omitempty"` // where its old log lies now; empty: it had none
}

// maxMissing bounds the paths that a report lists.
const maxMissing = 100

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Recover makes the catalog again and, with Apply, founds its log in the first
// directory. Errors are model.Error: not_found when there is nothing to build on,
// conflict for directories that do not belong together or whose log is intact, and, with
// the report, when content that was found is refused: a plan fails as what it plans would.
func Recover(opt Options) (_ *Report, err error) {
	s, err := openSources(opt)
	defer func() { err = errors.Join(err, s.close()) }()
	if err != nil {
		return nil, err
	}
	report := &Report{}
	if err := s.survey(report); err != nil {
		return nil, err
	}
	for _, from := range opt.Carried {
		if err := s.carried(from); err != nil {
			return nil, err
		}
	}
	base, err := s.base(opt, report)
	if err != nil {
		return nil, err
	}
	report.ClusterID = model.ClusterID(base.cat.Cluster().GetClusterId())
	if id := s.dirs[0].node.ClusterID; id != "" && id != report.ClusterID {
		return nil, model.Errorf(model.CodeConflict, op, "%s is of cluster %s, and the catalog of cluster %s", s.dirs[0].name, id, report.ClusterID)
	}
	report.Generation = max(opt.Generation, s.nextGeneration(base.cat.Cluster().Generation))
	if opt.Generation != 0 && opt.Generation < report.Generation {
		return nil, model.Errorf(model.CodeConflict, op, "generation %d has been seen here; the next is %d", opt.Generation, report.Generation)
	}
	fork, err := newFork(op, opt.Random)
	if err != nil {
		return nil, err
	}
	r := &rebuilding{sources: s, base: base, report: report, now: opt.Now.UnixMilli(), index: base.cat.Applied() + catalog.RecoveryGap}
	r.unlimited = opt.Unlimited
	if err := r.rebuild(fork, s.dirs[0].id); err != nil {
		return nil, err
	}
	if err := leftOut(report); err != nil && !opt.LeaveOut {
		return report, err
	}
	if !opt.Apply {
		return report, nil
	}
	report.Fork = fork
	if err := s.found(opt, base, report); err != nil {
		return report, err
	}
	report.Done = true
	return report, nil
}

// leftOut is an error when something that was found is whole, and refused: the volumes
// still hold it, and after a recovery without it they may be compacted.
func leftOut(report *Report) error {
	count, first := 0, Found{}
	for _, f := range report.NotFound {
		if f.Refused {
			if count == 0 {
				first = f
			}
			count++
		}
	}
	if count == 0 {
		return nil
	}
	return model.Errorf(model.CodeConflict, op,
		"nothing was changed: %d found pieces of content would not be kept, such as %s of tenant %s: %s. "+
			"Take a limit in the way off with --no-quota %s (set it again afterwards: a limit below the usage is allowed), or leave them out with --leave-out",
		count, first.Original, first.Tenant, first.Reason, first.Tenant)
}

// nextGeneration is one that nobody here has seen.
func (s *sources) nextGeneration(known uint64) uint64 {
	for _, d := range s.dirs {
		known = max(known, d.node.Generation, d.node.HighestEpoch.Generation, d.node.SupersededBy)
	}
	for item := range s.items {
		known = max(known, item.Generation)
	}
	return known + 1
}

func newFork(op string, random io.Reader) (string, error) {
	var raw [8]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", model.Errorf(model.CodeUnavailable, op, "no random numbers for the fork's id: %w", err)
	}
	return "f-" + hex.EncodeToString(raw[:]), nil
}

// base chooses what to build on: of what can be read, what goes furthest.
func (s *sources) base(opt Options, report *Report) (*base, error) {
	items := s.sorted()
	if opt.Backup.Name != "" {
		return s.fromBackup(opt.Backup, items, report)
	}
	var best *base
	for _, c := range archive.Candidates(items) {
		if best != nil && (c.Generation < best.generation || c.To <= best.cat.Applied()) {
			break // it cannot go further
		}
		b, err := s.fromCheckpoint(c, report)
		if err != nil {
			report.note("the checkpoint at %d cannot be used: %s", c.Index, text(err))
			continue
		}
		if best == nil || b.cat.Applied() > best.cat.Applied() {
			best = b
		}
	}
	if best == nil {
		return nil, model.Errorf(model.CodeNotFound, op,
			"there is no complete checkpoint of the catalog in these directories (%d pieces were seen); name the directories of more nodes, or a backup with --catalog", len(items))
	}
	report.Checkpoint, report.JournalTo = best.from, best.cat.Applied()
	report.LastWritten = best.written
	return best, nil
}

// text is an error for a person: without operation and code.
func text(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// refusedBy turns the refusal of a command into an error.
func (r *rebuilding) refusedBy(res *messages.CommandResult) error { return res.Err(r.base.op) }
