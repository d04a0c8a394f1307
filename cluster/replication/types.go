package replication

import (
	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/messages"
)

// Worker is a node that may hold copies.
type Worker struct {
	placement.Worker
	// ChangedAt is the log index of its newest transition (WorkerRow.transitions); 0: none.
	ChangedAt uint64
}

// UsedShare is how much of its disk is in use, 0..1; 0 when it has told no size.
func (w *Worker) UsedShare() float64 { return usedShare(float64(w.Free), w.Total) }

// Copy names one member of one volume.
type Copy struct {
	Volume uint64
	Node   string
}

// Input is what Plan looks at.
type Input struct {
	Rows              []*messages.VolumeRow // all, of every state
	Workers           []Worker              // all that the log knows
	Tiers             []*messages.TierRow
	ReplicationFactor int
	Weights           placement.Weights
	Jobs              []*messages.JobRow // those that have not ended, and those that ended lately
	Brake             bool               // mass repair is held
	BrakeReason       string
	Settings          *messages.Settings // may be nil
	// Settling are the copies that a worker was ordered to make or check and has not
	// answered for. Failed are those that failed lately, with the reason: they are not
	// tried again in this plan.
	Settling map[Copy]bool
	Failed   map[Copy]string
	// Sound are the copies of which every byte was read or written a moment ago and was
	// what was sealed.
	Sound map[Copy]bool
	// PerWorker is how many copies one worker takes in at once, Total how many all do
	// together; 0: no limit.
	PerWorker, Total int
}

// Kind says what a Step does.
type Kind uint8

// The kinds of Step.
const (
	AddMember    Kind = iota + 1 // log ChangeMembers with Node added
	Settle                       // order the worker to bring its copy to the row, then log VerifyMember
	RemoveMember                 // log ChangeMembers with Node removed
	Check                        // order the worker to read its verified copy, because another one is to go
)

// String is the kind for logs.
func (k Kind) String() string {
	switch k {
	case AddMember:
		return "add member"
	case Settle:
		return "settle"
	case RemoveMember:
		return "remove member"
	case Check:
		return "check"
	}
	return "unknown"
}

// JobKey names a job by what it does. The zero key: no job is needed.
type JobKey struct {
	Kind    messages.JobKind
	Subject string // worker; empty: the cluster
	Tier    uint32 // ADAPT only
}

// Step is one thing to do now. Steps of one plan are of different volumes, or of
// different copies of one, so they may be applied in any order.
type Step struct {
	Kind               Kind
	Volume, Generation uint64
	Node               string // the member that comes, settles or goes
	Tier               model.Tier
	Job                JobKey
	JobID              uint64 // of Job, 0 for the zero key
	Bytes              uint64 // length of the copy
	Replace            bool   // Settle: the copy on disk is damaged and is made anew
	Why                string
	From               string // a member to copy from, for display: the order names all sources
}

// JobView is a job that has work left.
type JobView struct {
	Key            JobKey
	ID             uint64 // 0: it must be created first; its steps come once it is there and runs
	Cause          string
	RemainingItems uint64 // volumes
	RemainingBytes uint64 // still to be copied
	Blockers       []string
	Quarantined    []*messages.JobQuarantine // since_unix_ms is the caller's to fill in
}

// TierDebt is how far a tier is from what it wants. Bytes and volumes count against the
// copies the tier wants, even when there are not enough workers to hold them.
type TierDebt struct {
	Open, Sealed, Retiring int    // volumes
	Degraded               int    // volumes with fewer good copies than wanted
	DebtBytes              uint64 // of the missing copies
	Stranded               int    // no intact copy is reachable, one may come back
	Lost                   int    // part of it is gone for good
}

// Move is one copy on its way, or one that would be made.
type Move struct {
	Volume   uint64
	Tier     model.Tier
	Bytes    uint64
	From, To string
	Job      JobKey
	Copying  bool // ordered from the worker
	Why      string
}

// Output is a plan.
type Output struct {
	Steps []Step    // in order of urgency: settle, remove, add, check
	Jobs  []JobView // by kind, subject and tier
	Done  []uint64  // ids of active jobs of this package that have nothing left
	Tiers [3]TierDebt
	Moves []Move // copies that jobs have under way
}
