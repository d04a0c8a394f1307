package fsck

import (
	"fmt"
	"strings"
	"sync"

	"tiercel/cluster/model"
)

// maxListed bounds how many problems of one kind are listed; all are counted.
const maxListed = 1000

// Kind sorts problems by what is damaged.
type Kind string

// The kinds of problems, in the order of the report.
const (
	KindSnapshot Kind = "snapshot" // a catalog snapshot is damaged
	KindLog      Kind = "log"      // the write-ahead log is damaged or incomplete
	KindCatalog  Kind = "catalog"  // the catalog contradicts itself
	KindVolume   Kind = "volume"   // a volume file is damaged, short, missing or unknown
	KindRecord   Kind = "record"   // damage in a volume outside of any file
	KindFile     Kind = "file"     // a file's content cannot be read with the right checksum
	KindLost     Kind = "lost"     // a file's content is known to be gone
)

var kinds = [...]Kind{KindSnapshot, KindLog, KindCatalog, KindVolume, KindRecord, KindFile, KindLost}

// Problem is one thing that is wrong. Tenant and Path are those of a file.
type Problem struct {
	Kind    Kind           `json:"kind"`
	Tenant  string         `json:"tenant,omitempty"`
	Path    string         `json:"path,omitempty"`
	Volume  model.VolumeID `json:"volume,omitempty"`
	Message string         `json:"message"`
}

// Report is what a check came to.
type Report struct {
	NodeID    model.NodeID    `json:"node_id"`
	ClusterID model.ClusterID `json:"cluster_id"`
	Quick     bool            `json:"quick"` // content was not read

	// HoldsLog: false for a worker that never voted. The catalog is on the voters then, and
	// records are checked, not files.
	HoldsLog        bool   `json:"holds_log"`
	Snapshot        uint64 `json:"snapshot_index"` // the newest intact one
	LogFirst        uint64 `json:"log_first"`
	LogLast         uint64 `json:"log_last"`
	LogCommitted    uint64 `json:"log_committed"`
	LogTornBytes    int64  `json:"log_torn_bytes"` // an append that was cut off; no damage
	Applied         uint64 `json:"applied"`        // the state that was checked
	Volumes         int    `json:"volumes"`
	VolumeBytes     int64  `json:"volume_bytes"`
	OrphanedBytes   int64  `json:"orphaned_bytes"`    // records that nothing names; compaction frees them
	TailBytes       int64  `json:"volume_tail_bytes"` // behind the last intact record; a start cuts them off
	Tenants         int    `json:"tenants"`           // that have files
	Files           int64  `json:"files"`             // of tenants
	FileBytes       int64  `json:"file_bytes"`        // of them
	OwnFiles        int64  `json:"own_files"`         // of the cluster itself: checkpoints and journal
	OwnBytes        int64  `json:"own_file_bytes"`    // of them
	CheckedBytes    int64  `json:"checked_bytes"`     // of all files
	ElsewhereFiles  int64  `json:"elsewhere_files"`   // of tenants, with content that this node does not hold
	OwnElsewhere    int64  `json:"own_elsewhere"`     // the same of the cluster itself
	DamagedFiles    int64  `json:"damaged_files"`
	LostFiles       int64  `json:"lost_files"`
	Incomplete      string `json:"incomplete,omitempty"` // why not everything was checked
	ProblemsCounted int64  `json:"problems_counted"`

	Problems []Problem `json:"problems"` // the first maxListed of each kind

	mu     sync.Mutex
	counts map[Kind]int64
}

func newReport() *Report { return &Report{Problems: []Problem{}, counts: map[Kind]int64{}} }

// add notes a problem; it may be called concurrently.
func (r *Report) add(p Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ProblemsCounted++
	r.counts[p.Kind]++
	switch p.Kind {
	case KindFile:
		r.DamagedFiles++
	case KindLost:
		r.LostFiles++
	}
	if r.counts[p.Kind] <= maxListed {
		r.Problems = append(r.Problems, p)
	}
}

// Clean reports whether everything was checked and nothing is wrong.
func (r *Report) Clean() bool { return r.ProblemsCounted == 0 && r.Incomplete == "" }

// String renders the problem on one line.
func (p Problem) String() string {
	switch {
	case p.Path != "":
		return fmt.Sprintf("%s: %s%q: %s", p.Kind, tenantPrefix(p.Tenant), p.Path, p.Message)
	case p.Volume != 0:
		return fmt.Sprintf("%s %d: %s", p.Kind, p.Volume, p.Message)
	}
	return fmt.Sprintf("%s: %s", p.Kind, p.Message)
}

func tenantPrefix(tenant string) string {
	if tenant == model.DefaultTenant {
		return ""
	}
	return tenant + " "
}

// Counts says how many problems there are of each kind: "2 file, 1 volume".
func (r *Report) Counts() string {
	var parts []string
	for _, k := range kinds {
		if n := r.counts[k]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k))
		}
	}
	return strings.Join(parts, ", ")
}
