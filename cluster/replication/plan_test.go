package replication_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/replication"
	"tiercel/messages"
)

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

const (
	repair, evacuation = messages.JobKind_REPAIR, messages.JobKind_EVACUATION
	drain, rebalance   = messages.JobKind_DRAIN, messages.JobKind_REBALANCE
	adapt              = messages.JobKind_ADAPT
)

// story is one plan: a cluster in the words of the rig, and what is to be done.
type story struct {
	name    string
	workers []replication.Worker
	rows    []*messages.VolumeRow
	jobs    []*messages.JobRow
	change  func(*replication.Input)
	steps   []string
	views   []string
	blocked string // part of a blocker
	done    []uint64
}

func tell(t *testing.T, stories []story) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			given := input(s.workers, s.rows...)
			given.Jobs = s.jobs
			if s.change != nil {
				s.change(&given)
			}
			out := replication.Plan(given)
			assert.Equal(t, append([]string{}, s.steps...), say(out.Steps))
			assert.Equal(t, append([]string{}, s.views...), sayJobs(out.Jobs))
			assert.Equal(t, s.done, out.Done)
			var blockers []string
			for _, v := range out.Jobs {
				blockers = append(blockers, v.Blockers...)
			}
			if s.blocked == "" {
				assert.Empty(t, blockers)
			} else {
				assert.Contains(t, strings.Join(blockers, "\n"), s.blocked)
			}
			assert.Equal(t, out, replication.Plan(given), "the same input is the same plan")
		})
	}
}

func workers(list ...replication.Worker) []replication.Worker { return list }
func rows(list ...*messages.VolumeRow) []*messages.VolumeRow  { return list }
func jobsOf(list ...*messages.JobRow) []*messages.JobRow      { return list }
func braked(i *replication.Input)                             { i.Brake, i.BrakeReason = true, "3 of 7 are missing" }
func abcd(change ...func(*replication.Worker)) (list []replication.Worker) {
	return workers(worker("a", change...), worker("b"), worker("c"), worker("d"))
}

func TestPlan_RepairsWhatAnUnreachableWorkerHeld(t *testing.T) {
	dead := abcd(in(unreachable))
	job := jobsOf(running(90, repair, "a"))
	tell(t, []story{
		{name: "all is well", workers: abcd(), rows: rows(volume(1, "a b"))},
		{name: "a degraded worker may be back in a moment", workers: abcd(in(degraded)), rows: rows(volume(1, "a b"))},
		{name: "first the job", workers: dead, rows: rows(volume(1, "a b")), views: []string{"REPAIR a"}},
		{name: "then a further member", workers: dead, rows: rows(volume(1, "a b")), jobs: job, steps: []string{"add 1 c for REPAIR a"}, views: []string{"REPAIR a"}},
		{name: "which is copied", workers: dead, rows: rows(volume(1, "a b c?", by("c", 90))), jobs: job,
			steps: []string{"settle 1 c for REPAIR a"}, views: []string{"REPAIR a"}},
		{name: "once", workers: dead, rows: rows(volume(1, "a b c?", by("c", 90))), jobs: job, views: []string{"REPAIR a"},
			change: func(i *replication.Input) { i.Settling = map[replication.Copy]bool{{Volume: 1, Node: "c"}: true} }},
		{name: "and the copy on the dead worker is kept", workers: dead, rows: rows(volume(1, "a b c")), jobs: job, done: []uint64{90}},
		{name: "a paused job does nothing", workers: dead, rows: rows(volume(1, "a b")), jobs: jobsOf(jobIn(90, repair, "a", messages.JobState_PAUSED)), views: []string{"REPAIR a"}},
		{name: "the brake holds it", workers: dead, rows: rows(volume(1, "a b")), jobs: job, change: braked,
			views: []string{"REPAIR a"}, blocked: "3 of 7 are missing"},
		{name: "also what it has begun", workers: dead, rows: rows(volume(1, "a b c?", by("c", 90))), jobs: job, change: braked,
			views: []string{"REPAIR a"}, blocked: "3 of 7 are missing"},
		{name: "nothing can be done without an intact copy", workers: dead, rows: rows(volume(1, "a b?")), jobs: job,
			steps: []string{"settle 1 b"}, views: []string{"REPAIR a"}, blocked: "no intact copy that can be reached"},
		{name: "nor from a damaged one", workers: dead, rows: rows(volume(1, "a b!")), jobs: jobsOf(running(90, repair, "a"), running(91, repair, "b")),
			views: []string{"REPAIR a", "REPAIR b"}, blocked: "no intact copy that can be reached"},
		{name: "nobody is fit to take it", workers: workers(worker("a", in(unreachable)), worker("b"), worker("c", in(degraded)), worker("d", free(0))),
			rows: rows(volume(1, "a b")), jobs: job, views: []string{"REPAIR a"}, blocked: "(1 full, 2 not healthy, 1 same host)"},
		{name: "there are too few workers: a debt, and no job", workers: workers(worker("a", in(unreachable)), worker("b")), rows: rows(volume(1, "a b"))},
		{name: "two copies on one host are one", workers: workers(worker("a", in(unreachable)), worker("b", on("h")), worker("c", on("h"))), rows: rows(volume(1, "a b"))},
		{name: "an empty volume has nothing to copy", workers: dead, rows: rows(volume(1, "a b", length(0)))},
	})
}

func TestPlan_RepairsWhatIsDamagedOrBehind(t *testing.T) {
	job := jobsOf(running(90, repair, "a"))
	tell(t, []story{
		{name: "a member that was away when its volume was sealed needs no job", workers: abcd(), rows: rows(volume(1, "a? b")), steps: []string{"settle 1 a"}},
		{name: "and does not mind the brake", workers: abcd(), rows: rows(volume(1, "a? b")), change: braked, steps: []string{"settle 1 a"}},
		{name: "it waits for its worker", workers: abcd(in(unreachable)), rows: rows(volume(1, "a? b c"))},
		{name: "nobody knows better: it is asked all the same", workers: abcd(), rows: rows(volume(1, "a? b?")), steps: []string{"settle 1 a", "settle 1 b"}},
		{name: "a damaged copy is made anew, by a job", workers: abcd(), rows: rows(volume(1, "a! b")), views: []string{"REPAIR a"}},
		{name: "when it runs", workers: abcd(), rows: rows(volume(1, "a! b")), jobs: job, steps: []string{"settle 1 a anew for REPAIR a"}, views: []string{"REPAIR a"}},
		{name: "nobody is missing: the brake does not matter", workers: abcd(), rows: rows(volume(1, "a! b")), jobs: job, change: braked,
			steps: []string{"settle 1 a anew for REPAIR a"}, views: []string{"REPAIR a"}},
		// Found by a seed: the only copy there is was called damaged while its disk failed, and nobody looked again.
		{name: "nobody knows of a whole one: it is read again", workers: abcd(), rows: rows(volume(1, "a!", tierOf(3))), jobs: job,
			steps: []string{"settle 1 a anew for REPAIR a"}, views: []string{"REPAIR a"}},
		{name: "a damaged copy that is not needed goes", workers: abcd(), rows: rows(volume(1, "a! b c")), change: sound("b"), steps: []string{"remove 1 a"}},
		{name: "one that cannot be made is put aside", workers: abcd(), rows: rows(volume(1, "a! b"), volume(2, "a! c")), jobs: job,
			change: func(i *replication.Input) {
				i.Failed = map[replication.Copy]string{{Volume: 1, Node: "a"}: "disk error"}
			},
			steps: []string{"settle 2 a anew for REPAIR a"}, views: []string{"REPAIR a"}},
	})
}

func TestPlan_EvacuatesWorkersThatWereGivenUp(t *testing.T) {
	gone := abcd(in(decommissioned))
	job := jobsOf(running(90, evacuation, "a"))
	tell(t, []story{
		{name: "a copy is added", workers: gone, rows: rows(volume(1, "a b")), jobs: job, steps: []string{"add 1 c for EVACUATION a"}, views: []string{"EVACUATION a"}},
		{name: "the old one stays until the new one is verified", workers: gone, rows: rows(volume(1, "a b c?", by("c", 90))), jobs: job,
			steps: []string{"settle 1 c for EVACUATION a"}, views: []string{"EVACUATION a"}},
		{name: "then it goes", workers: gone, rows: rows(volume(1, "a b c")), jobs: job, change: sound("c"), steps: []string{"remove 1 a for EVACUATION a"}, views: []string{"EVACUATION a"}},
		{name: "never the last", workers: gone, rows: rows(volume(1, "a")), jobs: job, views: []string{"EVACUATION a", "ADAPT tier 2"}, blocked: "no intact copy that can be reached"},
		{name: "held by the brake", workers: gone, rows: rows(volume(1, "a b c")), jobs: job, change: braked, views: []string{"EVACUATION a"}, blocked: "brake"},
		{name: "what a repair began goes on as it is", workers: gone, rows: rows(volume(1, "a b c?", by("c", 80))),
			jobs: jobsOf(running(80, repair, "a"), running(90, evacuation, "a")), steps: []string{"settle 1 c for REPAIR a"}, views: []string{"REPAIR a", "EVACUATION a"}},
	})
}

func TestPlan_DrainsOnRequest(t *testing.T) {
	leaving := abcd(drained)
	job := jobsOf(running(90, drain, "a"))
	open := volume(2, "a b", func(r *messages.VolumeRow) { r.State = messages.VolumeState_OPEN })
	tell(t, []story{
		{name: "the mark asks for the job", workers: leaving, rows: rows(volume(1, "a b")), views: []string{"DRAIN a"}},
		{name: "also where an earlier one was cancelled", workers: leaving, rows: rows(volume(1, "a b")), jobs: jobsOf(jobIn(80, drain, "a", messages.JobState_CANCELLED)), views: []string{"DRAIN a"}},
		{name: "the drained copy is a source", workers: leaving, rows: rows(volume(1, "a", tierOf(3))), jobs: job, steps: []string{"add 1 b for DRAIN a"}, views: []string{"DRAIN a"}},
		{name: "it stays until another is verified", workers: leaving, rows: rows(volume(1, "a b?", tierOf(3), by("b", 90))), jobs: job,
			steps: []string{"settle 1 b for DRAIN a"}, views: []string{"DRAIN a"}},
		{name: "then it goes", workers: leaving, rows: rows(volume(1, "a b", tierOf(3))), jobs: job, change: sound("b"), steps: []string{"remove 1 a for DRAIN a"}, views: []string{"DRAIN a"}},
		{name: "the brake does not hold it", workers: leaving, rows: rows(volume(1, "a b")), jobs: job, change: braked, steps: []string{"add 1 c for DRAIN a"}, views: []string{"DRAIN a"}},
		{name: "with too few others what they can hold is enough", workers: leaving[:2], rows: rows(volume(1, "a b")), jobs: job, change: sound("b"),
			steps: []string{"remove 1 a for DRAIN a"}, views: []string{"DRAIN a"}},
		{name: "but not nothing", workers: leaving[:1], rows: rows(volume(1, "a")), jobs: job, views: []string{"DRAIN a"}, blocked: "(1 draining)"},
		{name: "others that cannot take it now", workers: workers(worker("a", drained), worker("b"), worker("c", free(gib/2))), rows: rows(volume(1, "a b")), jobs: job,
			views: []string{"DRAIN a"}, blocked: "1 too small"},
		{name: "open volumes are left to do", workers: leaving, rows: rows(open), jobs: job, views: []string{"DRAIN a"}, blocked: "1 open volumes of the important tier are to be sealed first"},
		{name: "writes of the critical tier have nowhere else to go", workers: leaving[:2], rows: rows(volume(2, "a b", tierOf(1), func(r *messages.VolumeRow) { r.State = messages.VolumeState_OPEN })),
			jobs: job, views: []string{"DRAIN a"}, blocked: "its writes need 2 workers on hosts of their own and 1 could take them"},
		{name: "which is no matter where the licence has one copy", workers: leaving[:2], jobs: job, views: []string{"DRAIN a"}, blocked: "critical tier are to be sealed first",
			rows: rows(volume(2, "a", tierOf(1), func(r *messages.VolumeRow) { r.State, r.LicensedCopies = messages.VolumeState_OPEN, 1 }))},
		{name: "nothing left", workers: leaving, rows: rows(volume(1, "c b")), jobs: job, done: []uint64{90}},
	})
}

func TestPlan_ReadsACopyThatStaysBeforeAnotherGoes(t *testing.T) {
	leaving, gone := abcd(drained), abcd(in(decommissioned))
	job := jobsOf(running(90, drain, "a"))
	failed := func(nodes ...string) func(*replication.Input) {
		return func(i *replication.Input) {
			i.Failed = make(map[replication.Copy]string)
			for _, node := range nodes {
				i.Failed[replication.Copy{Volume: 1, Node: node}] = "disk error"
			}
		}
	}
	read := []string{"check 1 c for DRAIN a"}
	tell(t, []story{
		{name: "one of them", workers: leaving, rows: rows(volume(1, "a b c")), jobs: job, steps: read, views: []string{"DRAIN a"}},
		{name: "once", workers: leaving, rows: rows(volume(1, "a b c")), jobs: job, views: []string{"DRAIN a"},
			change: func(i *replication.Input) { i.Settling = map[replication.Copy]bool{{Volume: 1, Node: "c"}: true} }},
		{name: "another does as well", workers: leaving, rows: rows(volume(1, "a b c")), jobs: job, change: sound("b"),
			steps: []string{"remove 1 a for DRAIN a"}, views: []string{"DRAIN a"}},
		{name: "the one that goes does not count", workers: leaving, rows: rows(volume(1, "a b c")), jobs: job, change: sound("a"), steps: read, views: []string{"DRAIN a"}},
		{name: "nor one that is away", workers: workers(worker("a", drained), worker("b", in(unreachable)), worker("c")), rows: rows(volume(1, "a b c")), jobs: job,
			change: sound("b"), steps: read, views: []string{"DRAIN a"}},
		{name: "nor a damaged one", workers: leaving, rows: rows(volume(1, "a b! c d")), jobs: jobsOf(running(90, drain, "a"), running(91, repair, "b")), change: sound("b"),
			steps: []string{"settle 1 b anew for REPAIR b", "check 1 d for DRAIN a"}, views: []string{"REPAIR b", "DRAIN a"}},
		{name: "where the first cannot be read, the next", workers: leaving, rows: rows(volume(1, "a b c")), jobs: job, change: failed("c"),
			steps: []string{"check 1 b for DRAIN a"}, views: []string{"DRAIN a"}},
		{name: "where none can, none goes", workers: leaving, rows: rows(volume(1, "a b c")), jobs: job, change: failed("b", "c"), views: []string{"DRAIN a"},
			blocked: "no other copy of volume 1 could be read, so the one on a stays: b: disk error"},
		{name: "also for a worker that was given up", workers: gone, rows: rows(volume(1, "a b c")), jobs: jobsOf(running(90, evacuation, "a")),
			steps: []string{"check 1 c for EVACUATION a"}, views: []string{"EVACUATION a"}},
		{name: "and for one copy too many", workers: abcd(), rows: rows(volume(1, "a b c")), jobs: jobsOf(&messages.JobRow{Id: 90, Kind: adapt, Tier: 2, State: messages.JobState_RUNNING}),
			steps: []string{"check 1 c for ADAPT tier 2"}, views: []string{"ADAPT tier 2"}},
		{name: "a damaged copy that nobody needs is not made anew meanwhile", workers: abcd(), rows: rows(volume(1, "a! b c")), steps: []string{"check 1 c"}},
		{name: "a paused job reads nothing", workers: leaving, rows: rows(volume(1, "a b c")), jobs: jobsOf(jobIn(90, drain, "a", messages.JobState_PAUSED)), views: []string{"DRAIN a"}},
	})

	given := input(workers(worker("a", drained), worker("b"), worker("c")), volume(9, "b? c"))
	for id := range uint64(5) {
		given.Rows = append(given.Rows, volume(id+1, "a b c"))
	}
	given.Jobs, given.PerWorker, given.Total = job, 2, 3
	assert.Equal(t, []string{"check 1 c for DRAIN a", "check 2 b for DRAIN a", "settle 9 b"}, say(replication.Plan(given).Steps), "what is to be made whole comes first")
}

func TestPlan_FollowsTheCopiesThatATierWants(t *testing.T) {
	row := func(copies uint32) func(*replication.Input) {
		return func(i *replication.Input) { i.Tiers = []*messages.TierRow{{Tier: 2, Copies: copies}} }
	}
	job := jobsOf(&messages.JobRow{Id: 90, Kind: adapt, Tier: 2, State: messages.JobState_RUNNING})
	tell(t, []story{
		{name: "more: the job", workers: abcd(), rows: rows(volume(1, "a b")), change: row(3), views: []string{"ADAPT tier 2"}},
		{name: "more", workers: abcd(), rows: rows(volume(1, "a b")), jobs: job, change: row(3), steps: []string{"add 1 c for ADAPT tier 2"}, views: []string{"ADAPT tier 2"}},
		{name: "another, while the first is copied", workers: abcd(), rows: rows(volume(1, "a b c?", by("c", 90))), jobs: job, change: row(4),
			steps: []string{"settle 1 c for ADAPT tier 2", "add 1 d for ADAPT tier 2"}, views: []string{"ADAPT tier 2"}},
		{name: "fewer: the fullest worker gives up its copy", workers: workers(worker("a"), worker("b", free(gib)), worker("c")), rows: rows(volume(1, "a b c")), jobs: job, change: sound("c"),
			steps: []string{"remove 1 b for ADAPT tier 2"}, views: []string{"ADAPT tier 2"}},
		{name: "unless another choice keeps the racks apart", workers: workers(worker("a", at("x")), worker("b", at("y"), free(gib)), worker("c", at("x"))), rows: rows(volume(1, "a b c")), jobs: job, change: sound("c"),
			steps: []string{"remove 1 a for ADAPT tier 2"}, views: []string{"ADAPT tier 2"}},
		{name: "a worker that came back after its volume was repaired", workers: abcd(), rows: rows(volume(1, "a b c")), views: []string{"ADAPT tier 2"}},
		{name: "not in a storm", workers: abcd(), rows: rows(volume(1, "a b c")), jobs: job, change: braked, views: []string{"ADAPT tier 2"}, blocked: "brake"},
		{name: "two on one host are parted", workers: workers(worker("a", on("h")), worker("b", on("h")), worker("c")), rows: rows(volume(1, "a b")), jobs: job,
			steps: []string{"add 1 c for ADAPT tier 2"}, views: []string{"ADAPT tier 2"}},
		{name: "and the surplus one of them goes", workers: workers(worker("a", on("h")), worker("b", on("h")), worker("c", free(gib))), rows: rows(volume(1, "a b c")), jobs: job, change: sound("c"),
			steps: []string{"remove 1 a for ADAPT tier 2"}, views: []string{"ADAPT tier 2"}},
		{name: "never for a copy that is not verified", workers: abcd(), rows: rows(volume(1, "a b c?", by("c", 90))), jobs: job,
			steps: []string{"remove 1 c for ADAPT tier 2"}, views: []string{"ADAPT tier 2"}},
		{name: "a volume on its way out keeps what it has", workers: abcd(), change: row(3), jobs: job,
			rows: rows(volume(1, "a b", func(r *messages.VolumeRow) { r.State = messages.VolumeState_RETIRING })), done: []uint64{90}},
	})
}

func TestPlan_JobsThatWereCancelledStayCancelledUntilSomethingChanges(t *testing.T) {
	cancelled := jobIn(90, repair, "a", messages.JobState_CANCELLED)
	since := func(index uint64) func(*replication.Worker) {
		return func(w *replication.Worker) { in(unreachable)(w); w.ChangedAt = index }
	}
	tell(t, []story{
		{name: "cancelled: nothing", workers: abcd(since(80)), rows: rows(volume(1, "a b")), jobs: jobsOf(cancelled)},
		{name: "the worker came back and went again", workers: abcd(since(95)), rows: rows(volume(1, "a b")), jobs: jobsOf(cancelled), views: []string{"REPAIR a"}},
		{name: "damage found before it was cancelled", workers: abcd(), rows: rows(volume(1, "a! b", damagedAt(80))), jobs: jobsOf(cancelled)},
		{name: "damage found since", workers: abcd(), rows: rows(volume(1, "a! b", damagedAt(95))), jobs: jobsOf(cancelled), views: []string{"REPAIR a"}},
		{name: "another worker", workers: workers(worker("a"), worker("b", in(unreachable)), worker("c")), rows: rows(volume(1, "a b")), jobs: jobsOf(cancelled), views: []string{"REPAIR b"}},
		{name: "what it had not finished goes", workers: abcd(since(80)), rows: rows(volume(1, "a b c?", by("c", 90))), jobs: jobsOf(cancelled), steps: []string{"remove 1 c"}},
		{name: "what it had finished stays", workers: abcd(since(80)), rows: rows(volume(1, "a b c", by("c", 90))), jobs: jobsOf(cancelled)},
		{name: "scrubs and compactions are none of its business", workers: abcd(), rows: rows(volume(1, "a b")),
			jobs: jobsOf(running(7, messages.JobKind_SCRUB, ""), running(8, messages.JobKind_COMPACTION, ""))},
	})
}

func TestPlan_TheMostValuableAndTheBarestComeFirst(t *testing.T) {
	given := input(workers(worker("a", in(unreachable)), worker("b"), worker("c"), worker("d"), worker("e")),
		volume(1, "a", tierOf(3)), volume(2, "a b"), volume(3, "a b c", tierOf(1)), volume(4, "a b", tierOf(1)))
	given.Jobs = jobsOf(running(90, repair, "a"))
	given.PerWorker, given.Total = 2, 2
	out := replication.Plan(given)
	require.Len(t, out.Steps, 2)
	assert.EqualValues(t, 4, out.Steps[0].Volume)
	assert.EqualValues(t, 3, out.Steps[1].Volume)
	given.Total = 0
	assert.Len(t, replication.Plan(given).Steps, 3, "volume 1 has no source")
}

func TestPlan_RespectsHowManyCopiesMayBeUnderWay(t *testing.T) {
	given := input(abcd(in(unreachable)))
	for id := range uint64(20) {
		given.Rows = append(given.Rows, volume(id+1, "a b"))
	}
	given.Jobs = jobsOf(running(90, repair, "a"))
	given.PerWorker = 3
	steps := replication.Plan(given).Steps
	require.Len(t, steps, 6)
	count := map[string]int{}
	for _, s := range steps {
		count[s.Node]++
	}
	assert.Equal(t, map[string]int{"c": 3, "d": 3}, count, "those with room share the work")
	given.Settling = map[replication.Copy]bool{{Volume: 99, Node: "c"}: true, {Volume: 98, Node: "c"}: true}
	assert.Len(t, replication.Plan(given).Steps, 4)
	given.Total = 3
	assert.Len(t, replication.Plan(given).Steps, 1)
	given.Settling[replication.Copy{Volume: 97, Node: "a"}] = true
	assert.Len(t, replication.Plan(given).Steps, 1, "a worker that is away takes nothing in")
}

func TestPlan_TellsHowMuchIsLeftOfAJob(t *testing.T) {
	given := input(abcd(drained), volume(1, "a b"), volume(2, "a b c?", by("c", 90)), volume(3, "a b c"))
	given.Jobs = jobsOf(running(90, drain, "a"))
	given.Failed = map[replication.Copy]string{{Volume: 2, Node: "c"}: "disk error"}
	given.Sound = map[replication.Copy]bool{{Volume: 3, Node: "c"}: true}
	out := replication.Plan(given)
	require.Len(t, out.Jobs, 1)
	view := out.Jobs[0]
	assert.EqualValues(t, 90, view.ID)
	assert.EqualValues(t, 3, view.RemainingItems, "a volume counts once")
	assert.EqualValues(t, 2*gib, view.RemainingBytes, "nothing is copied of the third")
	assert.Equal(t, []*messages.JobQuarantine{{Volume: 2, Reason: "c: disk error"}}, view.Quarantined)
	require.Len(t, out.Moves, 1)
	assert.Equal(t, replication.Move{Volume: 2, Tier: 2, Bytes: gib, From: "b", To: "c", Job: view.Key, Why: "asked for"}, out.Moves[0])
	assert.Equal(t, []string{"add 1 d for DRAIN a", "remove 3 a for DRAIN a"}, say(out.Steps), "the job goes on without it")
	for _, s := range out.Steps {
		assert.EqualValues(t, 90, s.JobID)
	}
}

func TestPlan_CountsTheDebtByTier(t *testing.T) {
	open := volume(5, "a b?", tierOf(1), func(r *messages.VolumeRow) { r.State = messages.VolumeState_OPEN })
	lost := volume(7, "b", tierOf(3), func(r *messages.VolumeRow) { r.Lost = []*messages.LostRange{{From: 1, To: 2}} })
	out := replication.Plan(input(abcd(in(unreachable)), volume(1, "a b"), volume(2, "b c"), volume(3, "a", tierOf(3)), volume(4, "b!", tierOf(3)), open, lost))
	assert.Equal(t, [3]replication.TierDebt{
		{Open: 1, Degraded: 1, DebtBytes: 2 * gib},
		{Sealed: 2, Degraded: 1, DebtBytes: gib},
		{Sealed: 3, Degraded: 2, DebtBytes: 2 * gib, Stranded: 1, Lost: 2},
	}, out.Tiers)
	only := replication.Plan(input(abcd()[:1], volume(1, "a", tierOf(1))))
	assert.Equal(t, replication.TierDebt{Sealed: 1, Degraded: 1, DebtBytes: 2 * gib}, only.Tiers[0], "what nobody could hold is a debt all the same")
	assert.Empty(t, only.Jobs)
}
