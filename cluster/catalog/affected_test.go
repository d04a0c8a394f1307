package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/affected"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// affected gathers all answers: "/path state volumes", or with a tenant other than
// default "tenant:/path".
func (r *rig) affected(tenant string, state messages.ContentState, rows, limit int) (out []string) {
	after, more := "", true
	for answers := 0; more || after != ""; answers++ {
		require.Less(r.t, answers, 10_000, "it ends")
		g := affected.Gathering{Limit: limit, State: state}
		for more = true; more; {
			p := affected.Files(r.c, tenant, after, rows, limit)
			require.LessOrEqual(r.t, len(p.Files), limit)
			more, _ = g.Add(p)
			after = p.Next
		}
		require.LessOrEqual(r.t, len(g.Files), limit)
		for _, f := range g.Files {
			row, ok := r.c.Stat(f.Tenant, f.Path)
			require.True(r.t, ok)
			assert.Equal(r.t, row.Version, f.Version)
			assert.Equal(r.t, row.SizeBytes, f.SizeBytes)
			name := strings.TrimPrefix(f.Tenant+":"+f.Path, "default:")
			out = append(out, fmt.Sprint(name, " ", strings.ToLower(strings.TrimPrefix(f.State.String(), "CONTENT_")), f.Volumes))
		}
		after = g.Next
	}
	return out
}

// stricken has files in volumes of every kind: 1 to 3 are open on n-1, which is here.
func stricken(t *testing.T) (r *rig, away, gone, bad uint64) {
	r = newRig(t)
	for i, node := range []string{"n-1", "n-away", "n-gone"} {
		r.mustDo(register(node, func(w *messages.WorkerRow) { w.RaftId = uint64(i + 1) }))
	}
	away = r.mustDo(createVolume(model.TierCritical, "n-away")).Id
	gone = r.mustDo(createVolume(model.TierCritical, "n-gone")).Id
	bad = r.mustDo(createVolume(model.TierCritical, "n-1")).Id
	put := func(path string, in ...uint64) {
		extents, size := []*messages.Extent{}, uint64(0)
		for _, v := range in {
			extents, size = append(extents, r.extent(v, 10)), size+10
		}
		f := file(path, size)
		if tenant, rest, named := strings.Cut(path, ":"); named {
			f.Tenant, f.Path = tenant, rest
		}
		r.mustDo(r.inSession(putFile(&messages.PutFile{File: f, Extents: extents})))
	}
	put("/b/whole", 1)
	put("/b/away", away)
	put("/b/gone", gone, gone)
	put("/b/second", 1, gone)
	put("/a/worst", away, gone, 1, bad)
	put("/c/bad", bad)
	put("/c/late", 1, 1, away, bad)
	put("acme:/x", gone)
	put("zeta:/x", 1)
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(gone, 10)))).Id // names no file yet
	require.NotZero(t, upload)
	big := r.extents(1, bodies(300)...) // in a manifest of five rows
	big[290] = r.extent(gone, 10)
	r.mustDo(r.put("/unused", 1))
	r.mustDo(r.staged("/big", big))
	r.mustDo(r.staged("/large", r.extents(1, bodies(200)...)))

	r.mustDo(seal(away, 1, r.volume(away).CommittedEnd))
	s := seal(bad, 1, r.volume(bad).CommittedEnd)
	s.GetSealVolume().Intact = []string{"n-1"}
	r.mustDo(s)
	r.mustDo(markDamaged(bad, "n-1", r.volume(bad).Members[0].ReplicaGen))
	r.mustDo(transition("n-away", messages.WorkerState_HEALTHY, messages.WorkerState_UNREACHABLE, 5))
	r.mustDo(remove("n-gone", true))
	return r, away, gone, bad
}

// staged commits a file by way of an upload.
func (r *rig) staged(path string, extents []*messages.Extent) *messages.Command {
	upload, size := uint64(0), uint64(0)
	for first := 0; first < len(extents); first += 50 {
		part := extents[first:min(first+50, len(extents))]
		upload = r.mustDo(r.inSession(stage(upload, uint64(first), part))).Id
	}
	for _, e := range extents {
		size += e.BodyBytes
	}
	return r.inSession(commitUpload(file(path, size), upload, uint64(len(extents))))
}

func TestAffected_NamesTheFilesThatNobodyCanReadAndNoOther(t *testing.T) {
	r, away, gone, bad := stricken(t)
	all := []string{
		fmt.Sprintf("acme:/x lost[%d]", gone),
		fmt.Sprintf("/a/worst lost[%d %d %d]", away, gone, bad),
		fmt.Sprintf("/b/away stranded[%d]", away),
		fmt.Sprintf("/b/gone lost[%d]", gone),
		fmt.Sprintf("/b/second lost[%d]", gone),
		fmt.Sprintf("/big lost[%d]", gone),
		fmt.Sprintf("/c/bad damaged[%d]", bad),
		fmt.Sprintf("/c/late damaged[%d %d]", away, bad),
	}
	for _, rows := range []int{1, 2, 3, 5, 8, 1000} {
		for _, limit := range []int{1, 2, 3, 1000} {
			of := func(state messages.ContentState, tenant string) []string {
				return r.affected(tenant, state, rows, limit)
			}
			assert.Equal(t, all, of(messages.ContentState_CONTENT_STATE_UNSPECIFIED, ""), "%d rows, %d files a page", rows, limit)
			assert.Equal(t, []string{all[0], all[1], all[3], all[4], all[5]}, of(messages.ContentState_CONTENT_LOST, ""))
			assert.Equal(t, all[2:3], of(messages.ContentState_CONTENT_STRANDED, ""))
			assert.Equal(t, all[6:], of(messages.ContentState_CONTENT_DAMAGED, "default"))
			assert.Equal(t, all[:1], of(messages.ContentState_CONTENT_STATE_UNSPECIFIED, "acme"))
			assert.Empty(t, of(messages.ContentState_CONTENT_STATE_UNSPECIFIED, "zeta"))
		}
	}
}

func TestAffected_OfAVolumeThatWasLostInPartOnlyThatPartCounts(t *testing.T) {
	r := newRig(t)
	r.mustDo(register("n-1", nil))
	r.mustDo(r.put("/first", 10))
	end := r.volume(1).CommittedEnd
	r.mustDo(r.put("/second", 10))
	r.mustDo(reopen(1, 1, end))
	require.NotEmpty(t, r.volume(1).Lost)
	assert.NotContains(t, strings.Join(r.affected("", messages.ContentState_CONTENT_LOST, 10, 10), "\n"), "/first")
	assert.Equal(t, []string{"/second lost[1]"}, r.affected("", messages.ContentState_CONTENT_LOST, 10, 10))
}

func TestAffected_LooksAtNothingWhenAllIsWellAndAtABoundedNumberOfRowsElse(t *testing.T) {
	r := newRig(t)
	r.mustDo(register("n-1", nil))
	for i := range 50 {
		r.mustDo(r.put(fmt.Sprint("/f", i), 1))
	}
	r.ix.visited = 0
	assert.Empty(t, affected.Files(r.c, "", "", 10, 10))
	assert.Zero(t, r.ix.visited)
	r.mustDo(transition("n-1", messages.WorkerState_HEALTHY, messages.WorkerState_UNREACHABLE, 5))
	r.ix.visited = 0
	p := affected.Files(r.c, "", "", 10, 3)
	assert.Len(t, p.Files, 3, "an open volume whose only worker is away is stranded too")
	assert.NotEmpty(t, p.Next)
	assert.LessOrEqual(t, r.ix.visited, 12)
}
