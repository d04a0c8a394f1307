package volumes

import (
	"tiercel/cluster/model"
	"tiercel/messages"
)

// Action is one step towards a usable set of volumes.
type Action struct {
	Kind       Kind
	Tier       model.Tier // Create, Open
	Volume     uint64
	Generation uint64 // of the row
	Start      uint64 // Open: where appends begin
	ReplicaGen uint64 // Open
	Recovered  uint64 // Reopen: intact length of the member
	Survivor   bool   // Seal: the member has a copy that can be fenced
	Cause      string // Seal
}

// Kind says what an Action does.
type Kind uint8

// The kinds of Action.
const (
	Create Kind = iota // log CreateVolume
	Open               // tell the worker to open it at the row's generation
	Reopen             // log ReopenVolume: a new generation after a restart
	Seal               // fence what is there, then log SealVolume
)

// CauseFull is the cause of an ordinary seal: the next volume goes on.
const CauseFull = "it is full"

// Usable is a volume that takes appends now.
type Usable struct {
	Volume, Generation uint64
	Tier               model.Tier
	End                uint64
}

// Input is what Plan looks at. Rows and Reports are of one worker.
type Input struct {
	Node    string
	Rows    []*messages.VolumeRow
	Reports []*messages.VolumeReport
	// Fresh are the volumes whose creation, or whose present generation, this master
	// logged and for which the worker has not been asked to open a file yet.
	Fresh map[uint64]bool
	// PerTier is how many usable volumes each tier shall have.
	PerTier int
	// Accepts is false when the worker's disk is below its reserve.
	Accepts bool
}

// Plan returns the usable volumes and the actions still needed, in row order.
// Applying the actions and planning again converges to no actions.
func Plan(in Input) (usable []Usable, actions []Action) {
	reports := make(map[uint64]*messages.VolumeReport, len(in.Reports))
	for _, r := range in.Reports {
		reports[r.Volume] = r
	}
	coming := map[model.Tier]int{}
	for _, row := range in.Rows {
		if row.State != messages.VolumeState_OPEN || len(row.Members) == 0 || row.Members[0].Node != in.Node {
			continue
		}
		report := reports[row.Id]
		if report != nil && report.Writable && report.Generation == row.Generation {
			usable = append(usable, Usable{Volume: row.Id, Generation: row.Generation, Tier: model.Tier(row.Tier), End: report.End})
			coming[model.Tier(row.Tier)]++
			continue
		}
		a := judge(row, report, in.Fresh[row.Id])
		if a.Kind == Open || a.Kind == Reopen {
			if !in.Accepts {
				continue // a full disk cannot take a new generation; it waits for space
			}
			coming[model.Tier(row.Tier)]++
		}
		actions = append(actions, a)
	}
	if in.Accepts {
		for _, tier := range model.Tiers {
			for n := coming[tier]; n < in.PerTier; n++ {
				actions = append(actions, Action{Kind: Create, Tier: tier})
			}
		}
	}
	return usable, actions
}

// judge decides about one open volume that is not writable.
func judge(row *messages.VolumeRow, report *messages.VolumeReport, fresh bool) Action {
	seal := func(survivor bool, cause string) Action {
		return Action{Kind: Seal, Volume: row.Id, Generation: row.Generation, Survivor: survivor, Cause: cause}
	}
	open := Action{
		Kind: Open, Tier: model.Tier(row.Tier), Volume: row.Id, Generation: row.Generation,
		Start: row.GenerationStart, ReplicaGen: row.Members[0].ReplicaGen,
	}
	reopen := Action{Kind: Reopen, Tier: model.Tier(row.Tier), Volume: row.Id, Generation: row.Generation}
	switch {
	case report == nil && fresh:
		return open
	case report == nil && row.CommittedEnd == 0:
		// Nothing is named in it. A new generation all the same: an append that is
		// still on its way names the old one.
		return reopen
	case report == nil:
		return seal(false, "the worker has no file for it")
	case report.Damage != "":
		return seal(false, report.Damage)
	case report.Generation > row.Generation:
		return seal(false, "the worker's file is of a generation the catalog does not know")
	case report.Full:
		return seal(true, CauseFull)
	case report.Stopped:
		return seal(true, "its disk or its actor failed")
	case report.Fenced:
		return seal(true, "it was fenced and the seal was not logged")
	case len(row.Members) > 1:
		return seal(true, "a member was restarted")
	case report.Generation < row.Generation && report.End >= row.GenerationStart:
		// The new generation was logged and the worker never opened it, so nothing
		// was appended in it.
		return open
	}
	reopen.Recovered = report.End
	return reopen
}
