package fsck

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/store"
)

func TestCheck_ASoundDirectoryIsClean(t *testing.T) {
	for _, clean := range []bool{true, false} {
		r := filled(t)
		r.stop(clean)
		report := r.check(false)
		assert.True(t, report.Clean(), problems(report))
		assert.Equal(t, int64(23), report.Files)
		assert.Equal(t, 2, report.Tenants)
		assert.Equal(t, report.FileBytes, report.CheckedBytes)
		assert.Equal(t, 3, report.Volumes)
		assert.Greater(t, report.OrphanedBytes, int64(len("was deleted")))
		assert.Equal(t, r.catalog.Applied(), report.Applied, "what a lone voter has logged is committed")
		assert.Equal(t, r.dir.Identity().NodeID, report.NodeID)

		report = r.check(true)
		assert.True(t, report.Clean(), problems(report))
		assert.Zero(t, report.CheckedBytes)
	}
}

func TestCheck_FindsEachKindOfDamage(t *testing.T) {
	newest := "snapshots/" // completed below: the newest of two
	cases := []struct {
		name   string
		damage func(t *testing.T, r *rig)
		want   string // in the problems
		quick  bool   // found without reading content too
		others bool   // more problems may follow from it
	}{
		{
			name:   "a byte of a file",
			damage: func(t *testing.T, r *rig) { flip(t, r.fs, "volumes/t1/1.vol", "content 07;") },
			want:   `file: "/models/07": `, others: true, // and of its record
		},
		{
			name:   "a byte of another tenant's file",
			damage: func(t *testing.T, r *rig) { flip(t, r.fs, "volumes/t2/2.vol", "vector") },
			want:   `file: acme "/vectors/x": `, others: true,
		},
		{
			name:   "a byte of a record that nothing names",
			damage: func(t *testing.T, r *rig) { flip(t, r.fs, "volumes/t1/1.vol", "was deleted") },
			want:   "record 1: damaged at byte",
		},
		{
			name:   "the header of a volume",
			damage: func(t *testing.T, r *rig) { flip(t, r.fs, "volumes/t3/3.vol", "T") },
			want:   "volume 3: volumes/t3/3.vol is damaged", quick: true, others: true,
		},
		{
			name: "a volume cut off",
			damage: func(t *testing.T, r *rig) {
				f, err := r.fs.Open("volumes/t2/2.vol")
				require.NoError(t, err)
				require.NoError(t, f.Truncate(40))
				require.NoError(t, f.Close())
			},
			want: "volume 2: ", quick: true, others: true,
		},
		{
			name: "a volume gone",
			damage: func(t *testing.T, r *rig) {
				require.NoError(t, r.fs.Remove("volumes/t2/2.vol"))
				require.NoError(t, r.fs.Remove("volumes/t2/2.meta"))
			},
			want: "volume 2: the catalog says that this node holds", quick: true, others: true,
		},
		{
			name:   "the meta of a volume",
			damage: func(t *testing.T, r *rig) { require.NoError(t, r.fs.Remove("volumes/t2/2.meta")) },
			want:   "volume 2: volumes/t2/2.vol has no .meta beside it", quick: true,
		},
		{
			name:   "the newest snapshot",
			damage: func(t *testing.T, r *rig) { flip(t, r.fs, snapshotNames(r)[1], "TCSC") },
			want:   "snapshot: " + newest, quick: true,
		},
		{
			name:   "the older snapshot",
			damage: func(t *testing.T, r *rig) { flip(t, r.fs, snapshotNames(r)[0], "TCST") },
			want:   "snapshot: " + newest, quick: true,
		},
		{
			name: "a committed entry of the log",
			damage: func(t *testing.T, r *rig) {
				flip(t, r.fs, logNames(r)[0], "/models/03")
			},
			want: "log: log/", quick: true, others: true,
		},
		{
			name: "the whole log",
			damage: func(t *testing.T, r *rig) {
				for _, name := range logNames(r) {
					require.NoError(t, r.fs.Remove(name))
				}
			},
			want: "log: log/ is empty", quick: true,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := filled(t)
			r.stop(true)
			c.damage(t, r)
			for _, quick := range []bool{false, true} {
				report := r.check(quick)
				if quick && !c.quick {
					assert.True(t, report.Clean(), problems(report))
					continue
				}
				assert.Contains(t, problems(report), c.want)
				assert.False(t, report.Clean())
				if !c.others {
					assert.Equal(t, int64(1), report.ProblemsCounted, problems(report))
				}
			}
		})
	}
}

func TestCheck_CountsTheFilesOfTenantsAndThoseOfTheClusterItselfApart(t *testing.T) {
	r := filled(t)
	r.put(model.SystemTenant, "/checkpoint/1", 1, "of Tiercel itself")
	r.stop(true)
	report := r.check(false)
	assert.True(t, report.Clean(), problems(report))
	assert.Equal(t, int64(23), report.Files)
	assert.Equal(t, 2, report.Tenants)
	assert.Equal(t, int64(1), report.OwnFiles)
	assert.Equal(t, int64(len("of Tiercel itself")), report.OwnBytes)
	assert.Equal(t, report.FileBytes+report.OwnBytes, report.CheckedBytes)
}

func TestCheck_PiecesInTheWrongOrderAreFound(t *testing.T) {
	r := newRig(t)
	r.misput("/models/mixed", "first.", "second")
	r.stop(true)
	report := r.check(false)
	assert.Contains(t, problems(report), `file: "/models/mixed": every piece is intact, but the checksum of the whole is`)
	assert.Equal(t, int64(1), report.DamagedFiles)
	assert.True(t, r.check(true).Clean())
}

func snapshotNames(r *rig) []string { return namesIn(r, "snapshots/") }

func logNames(r *rig) []string { return namesIn(r, "log/") }

func namesIn(r *rig, dir string) (out []string) {
	for _, name := range r.fs.Names() {
		if strings.HasPrefix(name, dir) {
			out = append(out, name)
		}
	}
	return out
}

func TestCheck_ADamagedNewestSnapshotIsPassedOverForTheOneBefore(t *testing.T) {
	r := filled(t)
	r.stop(true)
	flip(t, r.fs, snapshotNames(r)[1], "TCSC")
	report := r.check(false)
	assert.Equal(t, uint64(1), report.Snapshot)
	assert.Equal(t, r.catalog.Applied(), report.Applied)
	assert.Equal(t, int64(23), report.Files)
}

func TestCheck_WithoutASnapshotItSaysThatFilesWereNotChecked(t *testing.T) {
	r := filled(t)
	r.stop(true)
	for _, name := range snapshotNames(r) {
		require.NoError(t, r.fs.Remove(name))
	}
	report := r.check(false)
	assert.False(t, report.Clean())
	assert.Contains(t, report.Incomplete, "files could not be checked")
	assert.Contains(t, problems(report), "snapshot: snapshots/ is empty")
	assert.Contains(t, problems(report), "tiercel recover", "it is said what to do")
}

func TestCheck_AnAppendThatWasCutOffIsNoDamage(t *testing.T) {
	r := filled(t)
	_, err := r.writers[1].AppendBatch([]store.Record{{Tenant: "default", Path: "/never/committed", Session: r.session, Sequence: 999, Parts: 1, Body: []byte("x")}}, true)
	require.NoError(t, err)
	r.stop(false)
	f, err := r.fs.Open("volumes/t1/1.vol")
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("half a record"), size)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	report := r.check(false)
	assert.True(t, report.Clean(), problems(report))
	assert.Equal(t, int64(len("half a record")), report.TailBytes)
}

func TestCheck_ANewDirectoryIsClean(t *testing.T) {
	r := newRig(t)
	r.stop(true)
	report := r.check(false)
	assert.True(t, report.Clean(), problems(report))

	empty := store.NewMemFS(1)
	dir, err := store.OpenDataDir(empty, strings.NewReader(strings.Repeat("random", 100)), false)
	require.NoError(t, err)
	require.NoError(t, dir.Close())
	report, err = checkFS(t.Context(), empty, Options{Jobs: 1, Watch: silent{}})
	require.NoError(t, err)
	assert.True(t, report.Clean(), problems(report))
}

func TestCheck_RefusesADirectoryInUse(t *testing.T) {
	r := filled(t)
	_, err := checkFS(t.Context(), r.fs, Options{Jobs: 1, Watch: silent{}})
	assert.Equal(t, model.CodeUnavailable, model.CodeOf(err))
	assert.Contains(t, err.Error(), "a node is using the data directory")
}

func TestCheck_RefusesWhatIsNoDataDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		code model.Code
	}{
		{filepath.Join(dir, "missing"), model.CodeNotFound},
		{dir, model.CodeNotFound},
		{write(t, dir, "file"), model.CodeInvalidArgument},
	} {
		_, err := Check(t.Context(), c.name, Options{Jobs: 1, Watch: silent{}})
		assert.Equal(t, c.code, model.CodeOf(err), "%v", err)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing was made")
}

func TestCheck_RefusesAnotherFormatVersion(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "VERSION"), []byte("99\n"), 0o600))
	_, err := Check(t.Context(), dir, Options{Jobs: 1, Watch: silent{}})
	assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err))
}

func write(t *testing.T, dir, name string) string {
	t.Helper()
	full := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(full, nil, 0o600))
	return full
}

func TestCheck_AnInterruptionIsNotCalledClean(t *testing.T) {
	r := filled(t)
	r.stop(true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report, err := checkFS(ctx, r.fs, Options{Jobs: 1, Watch: silent{}})
	if err == nil {
		assert.False(t, report.Clean())
	}
}

func TestCheck_ALostLogOfAMemberIsAProblemWithWhatToDo(t *testing.T) {
	for _, begun := range []bool{false, true} { // a start of an older version has begun an empty one
		r := filled(t)
		require.NoError(t, r.dir.UpdateNode(func(n *store.NodeFile) { n.HeldLog = true }))
		r.stop(true)
		for _, name := range append(logNames(r), snapshotNames(r)...) {
			require.NoError(t, r.fs.Remove(name))
		}
		if begun {
			wal, _, err := store.OpenWAL(r.fs, store.WALOptions{})
			require.NoError(t, err)
			require.NoError(t, wal.Close())
			w, err := store.CreateSnapshot(r.fs, store.SnapshotMeta{Index: store.FirstIndex, Term: 1, Conf: r.conf})
			require.NoError(t, err)
			require.NoError(t, w.Finish())
		}
		report := r.check(false)
		assert.Contains(t, problems(report), "log: log/ is empty, but this node was a member of its cluster's log")
		assert.Contains(t, problems(report), "tiercel recover")
		assert.Equal(t, int64(1), report.ProblemsCounted, "what follows from it is no problem of its own: %s", problems(report))
		assert.False(t, report.Clean())
	}
}

// loseLog makes the rig what `tiercel recover --worker` leaves, or a worker that never voted.
func (r *rig) loseLog(t *testing.T) {
	t.Helper()
	require.NoError(t, r.dir.UpdateNode(func(n *store.NodeFile) { n.Joined, n.HeldLog = true, false }))
	r.stop(true)
	for _, name := range append(logNames(r), snapshotNames(r)...) {
		require.NoError(t, r.fs.Remove(name))
	}
}

func TestCheck_AWorkerThatHoldsNoLogIsCleanAndItsRecordsAreRead(t *testing.T) {
	r := filled(t)
	r.loseLog(t)
	report := r.check(false)
	assert.True(t, report.Clean(), problems(report)+report.Incomplete)
	assert.False(t, report.HoldsLog)
	assert.Equal(t, 3, report.Volumes)
	assert.True(t, r.check(true).Clean())

	flip(t, r.fs, "volumes/t1/1.vol", "content 07;")
	report = r.check(false)
	assert.Contains(t, problems(report), "record 1: damaged at byte")
	assert.False(t, report.Clean())
}
