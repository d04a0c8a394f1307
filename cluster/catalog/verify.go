package catalog

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"tiercel/messages"
)

// maxProblems bounds what Verify reports.
const maxProblems = 100

// Verify checks the whole state against its invariants and returns what is
// wrong, up to 100 sentences; none when it is consistent. It reads every row,
// so it is for tests, fsck and checkers.
func (c *Catalog) Verify() []string {
	c.flush()
	a := &audit{
		c:         c,
		live:      map[uint64]int64{},
		usage:     map[string]*messages.TenantRow{},
		manifests: map[uint64]*manifestAudit{},
		ages:      map[string]string{},
	}
	if c.halted != nil {
		a.problem("the catalog has stopped: %v", c.halted)
	}
	c.ix.Ascend("", func(key, value string) bool {
		a.row(key, value)
		return true
	})
	a.volumes()
	a.tenants()
	a.eachManifest()
	a.uploads()
	a.sessions()
	a.caches()
	if ours, again := c.StateHash(), c.Recompute(); !bytes.Equal(ours, again) {
		a.problem("the state hash is %x, and of the rows it is %x", ours, again)
	}
	for age, key := range a.ages {
		a.problem("the idempotency key %q has no age row %q", key, age)
	}
	slices.Sort(a.problems)
	return a.problems
}

// audit is one run of Verify: what the rows say, summed up.
type audit struct {
	c         *Catalog
	problems  []string
	live      map[uint64]int64               // record bytes named, by volume
	usage     map[string]*messages.TenantRow // recomputed
	manifests map[uint64]*manifestAudit
	ages      map[string]string // age rows not matched yet, by key
}

// manifestAudit is what is known of one manifest.
type manifestAudit struct {
	owners        []string // rows that name it
	garbage       bool
	first         uint32 // chunk that a garbage row names
	chunks        int
	begin         uint32 // lowest chunk there is
	end           uint32 // behind the highest
	extents, want uint64
	bytes, size   uint64
}

func (a *audit) problem(format string, args ...any) {
	if len(a.problems) < maxProblems {
		a.problems = append(a.problems, fmt.Sprintf(format, args...))
	}
}

// sum returns the entry of a map, made when it is not there.
func sum[K comparable, V any](m map[K]*V, key K) *V {
	if m[key] == nil {
		m[key] = new(V)
	}
	return m[key]
}

// extents counts the extents of a row and names the first that is wrong; held
// is the content they hold.
func (a *audit) extents(key string, extents []*messages.Extent) (held uint64) {
	wrong := ""
	for _, e := range extents {
		held += e.BodyBytes
		a.live[e.Volume] += int64(e.RecordBytes)
		if wrong == "" {
			wrong = wrongExtent(a.c.volumes[e.Volume], e)
		}
	}
	if wrong != "" {
		a.problem("row %q names %s", key, wrong)
	}
	return held
}

// wrongExtent says what is wrong with an extent that a row names, or nothing.
func wrongExtent(v *volume, e *messages.Extent) string {
	if v == nil {
		return fmt.Sprintf("volume %d, which is not there", e.Volume)
	}
	row, end := v.row, e.Offset+e.RecordBytes
	switch {
	case e.Generation == 0 || e.Generation > row.Generation:
		return fmt.Sprintf("generation %d of volume %d, which is at %d", e.Generation, e.Volume, row.Generation)
	case end > row.CommittedEnd:
		return fmt.Sprintf("bytes up to %d of volume %d, committed up to %d", end, e.Volume, row.CommittedEnd)
	case row.State != messages.VolumeState_OPEN && end > row.SealedEnd && ExtentState(row, e) != ExtentLost:
		return fmt.Sprintf("bytes beyond the sealed end %d of volume %d", row.SealedEnd, e.Volume)
	}
	return ""
}

func (a *audit) volumes() {
	for id, v := range a.c.volumes {
		if v.row.LiveBytes != a.live[id] {
			a.problem("volume %d counts %d live bytes, and the rows name %d", id, v.row.LiveBytes, a.live[id])
		}
		if len(v.row.Members) == 0 && v.row.State == messages.VolumeState_OPEN {
			a.problem("volume %d has no member", id)
		}
		if (v.row.RetiredAt != 0) != (v.row.State == messages.VolumeState_RETIRING) || v.row.RetiredAt > a.c.applied {
			a.problem("volume %d is %s, and was retired at %d", id, stateName(v.row.State), v.row.RetiredAt)
		}
		if v.row.State != messages.VolumeState_OPEN && v.row.SealedEnd < v.row.CommittedEnd && len(v.row.Lost) == 0 {
			a.problem("volume %d is sealed at %d below its committed end %d, and no loss is logged", id, v.row.SealedEnd, v.row.CommittedEnd)
		}
		if id >= a.c.cluster.GetNextVolume() {
			a.problem("volume %d is at or above the counter %d", id, a.c.cluster.GetNextVolume())
		}
	}
}

func (a *audit) tenants() {
	for name, t := range a.c.tenants {
		want := sum(a.usage, name)
		if t.row.UsedBytes != want.UsedBytes || t.row.Files != want.Files || t.row.IdempotencyKeys != want.IdempotencyKeys {
			a.problem("tenant %q counts %d bytes, %d files, %d keys; the rows hold %d, %d, %d", name, t.row.UsedBytes,
				t.row.Files, t.row.IdempotencyKeys, want.UsedBytes, want.Files, want.IdempotencyKeys)
		}
		delete(a.usage, name)
	}
	for name := range a.usage {
		a.problem("tenant %q has files or keys and no row", name)
	}
}

// eachManifest checks that every manifest is named once and whole.
func (a *audit) eachManifest() {
	for id, m := range a.manifests {
		switch {
		case len(m.owners) != 1:
			a.problem("manifest %d is named by %d rows %q instead of one", id, len(m.owners), m.owners)
		case m.chunks != int(m.end-m.begin):
			a.problem("manifest %d of %s has %d chunks between %d and %d", id, m.owners[0], m.chunks, m.begin, m.end)
		case m.garbage && (m.chunks > 0 && m.begin != m.first):
			a.problem("garbage manifest %d goes on at chunk %d, and its next is %d", id, m.first, m.begin)
		case !m.garbage && (m.begin != 0 || m.extents != m.want || m.bytes != m.size):
			a.problem("manifest %d of %s holds %d extents with %d bytes from chunk %d instead of %d with %d",
				id, m.owners[0], m.extents, m.bytes, m.begin, m.want, m.size)
		}
	}
}

func (a *audit) uploads() {
	for id, u := range a.c.uploads {
		if a.c.sessions[u.row.Session] == nil {
			a.problem("upload %d belongs to session %d, which is not there", id, u.row.Session)
		}
	}
}

func (a *audit) sessions() {
	for id, s := range a.c.sessions {
		last := s.low
		for _, k := range s.kept {
			if k.sequence <= last {
				a.problem("session %d keeps sequence %d behind %d", id, k.sequence, last)
			}
			last = k.sequence
		}
		row, _ := a.c.Session(id)
		if whole := a.c.encode(withoutSentences(row)); whole != s.encoded(a.c) {
			a.problem("session %d is not encoded as its row would be", id)
		}
		if len(s.kept) > MaxSessionResults {
			a.problem("session %d keeps %d results", id, len(s.kept))
		}
	}
}

// withoutSentences takes out what explain has put in.
func withoutSentences(row *messages.SessionRow) *messages.SessionRow {
	for _, r := range row.Results {
		r.Result.Message = ""
	}
	return row
}

// caches checks that the structs in memory are what New would derive from the rows.
func (a *audit) caches() {
	c, fresh := a.c, New(a.c.ix)
	if fresh.halted != nil {
		a.problem("the rows cannot be loaded: %v", fresh.halted)
	}
	if !proto.Equal(c.cluster, fresh.cluster) || c.applied != fresh.applied || c.garbage != fresh.garbage ||
		c.lostAt != fresh.lostAt || c.byTier != fresh.byTier || !slices.Equal(c.order, fresh.order) {
		a.problem("the cluster row, applied index, garbage count, loss index, use by tier or volume order differ from the rows")
	}
	compareCached(a, c.volumes, fresh.volumes)
	compareCached(a, c.tenants, fresh.tenants)
	compareCached(a, c.sessions, fresh.sessions)
	compareCached(a, c.uploads, fresh.uploads)
	for id, u := range fresh.uploads {
		if have := c.uploads[id]; have == nil || have.tier != u.tier {
			a.problem("upload %d has tier %d in its rows", id, u.tier)
		}
	}
	for id, s := range fresh.sessions {
		if have := c.sessions[id]; have == nil || have.uploads != s.uploads {
			a.problem("session %d has %d uploads in the rows", id, s.uploads)
		}
	}
	if !maps.Equal(c.limited, fresh.limited) {
		a.problem("the tenants with a limit differ from the rows")
	}
	if !maps.EqualFunc(c.workers, fresh.workers, func(x, y *messages.WorkerRow) bool { return proto.Equal(x, y) }) {
		a.problem("the workers differ from their rows")
	}
	if !maps.EqualFunc(c.jobs, fresh.jobs, func(x, y *messages.JobRow) bool { return proto.Equal(x, y) }) {
		a.problem("the jobs differ from their rows")
	}
	have, _ := c.Workers()
	if nodes, _ := fresh.Workers(); !slices.Equal(have, nodes) || !maps.Equal(c.raftIDs, fresh.raftIDs) || !maps.Equal(c.labels, fresh.labels) {
		a.problem("the indexes of workers differ from their rows")
	}
}

// compareCached compares cached structs with those derived from the rows.
func compareCached[K comparable, R cachedRow](a *audit, have, fresh map[K]R) {
	if len(have) != len(fresh) {
		a.problem("%d structs of type %T are cached for %d rows", len(have), *new(R), len(fresh))
	}
	for id, r := range have {
		other, ok := fresh[id]
		if value, found := a.c.ix.Get(r.key()); !ok || !found || value != r.encoded(a.c) || value != other.encoded(a.c) {
			a.problem("the struct cached for row %q differs from it", r.key())
		}
	}
}
