package drill

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

func TestHeal_UnequalWorkersAreRepairedEvacuatedRebalancedAndDrained(t *testing.T) {
	h := startHealing(t)
	h.configure(`{"rebalance":{"automatic":false}}`)
	h.fill(40)
	for _, path := range []string{"/models/big-0", "/sessions/big-1", "/cache/big-2"} {
		h.explained(path)
	}
	load := procs.StartLoad(h.c, 3, uint64(time.Now().UnixNano()))

	// A dead worker: repair from five missed heartbeats on, evacuation at ten.
	// Volumes of the first moments, with fewer copies, have theirs: what only the victim held
	// would have to be copied when it is back.
	h.until("every copy to be there", procs.Patience, h.quiet)
	victim := h.victim()
	id := h.worker(victim).ID
	victim.Kill()
	h.until("a repair", procs.Patience, func() bool {
		state := h.worker(victim).State
		return (state == "unreachable" || state == "decommissioned") && slices.ContainsFunc(h.jobs("repair"), func(j jobView) bool { return j.Subject == id })
	})
	// What had its only copy there waits for it; everything else gets a new home.
	h.until("the end of the repair and the evacuation", 3*time.Minute, func() bool {
		w := h.worker(victim)
		return w.State == "decommissioned" && !slices.ContainsFunc(w.VolumeList, func(v volumeView) bool { return v.Tier != 3 })
	})
	for _, j := range append(h.jobs("repair"), h.jobs("evacuation")...) {
		if took := j.EndedAt.Sub(j.CreatedAt).Seconds(); took > 0 {
			t.Logf("%s of %s: %d MiB in %.1f s, %.0f MB/s", j.Kind, j.Subject, j.Progress.Done/mib, took, float64(j.Progress.Done)/1e6/took)
		}
	}
	// It comes back: nothing is copied for that.
	before := h.rested(id)
	require.NoError(t, victim.Start())
	require.NoError(t, h.c.WaitFormed(procs.Patience), "%s", h.c.Logs(30))
	h.until("quiet", procs.Patience, h.quiet)
	assert.Equal(t, before, h.copied(id), "nothing is copied because it returned: %+v", h.jobs(""))
	h.readAll(h.via, nil)

	// An empty worker: a rebalance under a limit, while reads and writes go on.
	late, err := h.c.Add()
	require.NoError(t, err)
	require.NoError(t, late.WaitReady(procs.Patience))
	const limit = 20 * mib
	var job jobView
	require.NoError(t, h.c.Do(h.via, http.MethodPost, "/cluster/rebalance", http.Header{"Content-Type": {"application/json"}}, fmt.Sprintf(`{"bandwidth_limit_bytes_per_second":%d}`, limit), &job))
	h.until("the end of the rebalance", 5*time.Minute, h.quiet)
	for _, j := range h.jobs("rebalance") {
		took := j.EndedAt.Sub(j.CreatedAt).Seconds()
		t.Logf("rebalance: %d MiB in %.1f s, %.1f MB/s, limit %.1f MB/s", j.Progress.Done/mib, took, float64(j.Progress.Done)/1e6/took, limit/1e6)
		assert.LessOrEqual(t, float64(j.Progress.Done), limit*(took+1))
		assert.NotZero(t, j.Progress.Done)
	}
	// Two are empty: the newcomer, and the one that has come back after its evacuation.
	assert.NotEmpty(t, append(h.worker(late).VolumeList, h.worker(victim).VolumeList...), "the empty workers got their share")
	h.readAll(h.via, nil)

	// A worker is drained and leaves.
	leaver := h.worker(victim)
	require.NoError(t, h.c.Do(h.via, http.MethodPost, "/cluster/workers/"+leaver.ID+"/drain", nil, "", nil))
	h.until("the end of the drain", 5*time.Minute, func() bool { return len(h.worker(victim).VolumeList) == 0 && h.quiet() })
	require.NoError(t, h.c.Do(h.via, http.MethodDelete, "/cluster/workers/"+leaver.ID, nil, "", nil))
	h.until("its end", procs.Patience, func() bool { return !victim.Running() })
	h.readAll(h.via, nil)

	load.Stop()
	assert.Empty(t, load.Failures())
	if dir := os.Getenv("DRILL_KEEP_LOGS"); dir != "" {
		require.NoError(t, os.WriteFile(dir, []byte(h.c.Logs(3000)), 0o644))
	}
	t.Logf("%d writes were acknowledged meanwhile; slowest request %v (%s)", load.Acknowledged.Load(), load.Slowest(), load.SlowestWhat())
}

func TestHeal_FlippedBytesAreNeverServedAndOneScrubMendsThemAll(t *testing.T) {
	h := startHealing(t)
	h.fill(16)
	h.until("every copy to be there", procs.Patience, h.quiet) // the only whole copy of a volume must not be the one that is spoilt
	load := procs.StartLoad(h.c, 3, uint64(time.Now().UnixNano()))
	load.For(time.Second)
	flipped, open := map[string]lie{}, 0
	for _, n := range h.c.Nodes {
		names, err := filepath.Glob(filepath.Join(n.Dir(), "volumes", "t[12]", "*.vol"))
		require.NoError(t, err)
		for _, name := range names {
			if base := filepath.Base(name); flipped[base].name == "" { // one copy of a volume, never all
				if f := flipByte(t, n, name); f.name != "" {
					flipped[base] = f
					if slices.ContainsFunc(h.worker(n).VolumeList, func(v volumeView) bool { return fmt.Sprint(v.ID)+".vol" == base && v.State == "open" }) {
						open++
					}
				}
			}
		}
	}
	require.NotEmpty(t, flipped)
	h.readAll(h.via, nil)
	require.NoError(t, h.c.Do(h.via, http.MethodPost, "/cluster/scrub", http.Header{"Content-Type": {"application/json"}}, "", nil))
	h.until("the scrub and the repairs", 3*time.Minute, h.quiet)
	h.readAll(h.via, nil)
	var mended []string
	h.until("every wrong byte to be what it was", 3*procs.Patience, func() bool {
		mended = nil
		for base, f := range flipped {
			list := h.worker(f.on).VolumeList
			i := slices.IndexFunc(list, func(v volumeView) bool { return fmt.Sprint(v.ID)+".vol" == base })
			whole, gone := f.is(t)
			switch {
			case i < 0, gone: // its copy was moved away, or its files to another volume
			case list[i].State == "open", !whole:
				t.Logf("%s has the wrong byte still", f.name)
				return false
			default:
				mended = append(mended, base)
			}
		}
		return true
	})
	assert.NotEmpty(t, mended)
	t.Logf("%d volumes had a wrong byte in one copy, %d of them while they took appends; all are as they were: %d there, the others moved",
		len(flipped), open, len(mended))
	load.Stop()
	require.Empty(t, load.Failures())
	require.NoError(t, load.Verify())
	h.flipTheOnlyCopy("/cache/big-0")
}

// flipTheOnlyCopy changes a byte of a file of tier 3, which nobody else has, under load. It
// is refused, never served wrong, and all others outlive their volume.
func (h *healing) flipTheOnlyCopy(path string) {
	h.t.Helper()
	load := procs.StartLoadIn(h.c, 2, uint64(time.Now().UnixNano()), "/models", "/sessions")
	var e struct {
		Current struct {
			Volumes []uint64 `json:"volume_ids"`
			Members []string
		}
	}
	require.NoError(h.t, h.c.Soon(h.via, "/cluster/placement/explain?path="+path, &e))
	require.Len(h.t, e.Current.Volumes, 1)
	require.Len(h.t, e.Current.Members, 1)
	volume, name := e.Current.Volumes[0], ""
	for _, n := range h.c.Nodes {
		if h.worker(n).ID == e.Current.Members[0] {
			name = filepath.Join(n.Dir(), "volumes", "t3", fmt.Sprint(volume, ".vol"))
		}
	}
	content, err := os.ReadFile(name)
	require.NoError(h.t, err)
	at := bytes.Index(content, h.begins[path])
	require.Positive(h.t, at, "where its content begins")
	content = append(content[:0], content[at+2*mib]^0xff)
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	require.NoError(h.t, err)
	_, err = file.WriteAt(content, int64(at+2*mib))
	require.NoError(h.t, errors.Join(err, file.Close()))

	require.Equal(h.t, []string{path}, h.unreadable())
	require.NoError(h.t, h.c.Do(h.via, http.MethodPost, "/cluster/scrub", http.Header{"Content-Type": {"application/json"}}, "", nil))
	h.until("the rest of the volume to be moved", 3*time.Minute, func() bool {
		return slices.ContainsFunc(h.jobs("compaction"), func(j jobView) bool {
			return j.State == "running" && slices.ContainsFunc(j.Blockers, func(why string) bool {
				var of, left uint64
				_, err := fmt.Sscanf(why, "each copy of volume %d is damaged; %d bytes", &of, &left)
				return err == nil && of == volume && left < 9*mib
			})
		})
	})
	assert.Equal(h.t, []string{path}, h.unreadable(), "nothing else was lost with it")
	require.NoError(h.t, h.c.Do(h.via, http.MethodDelete, "/files"+path, nil, "", nil))
	delete(h.sums, path)
	h.until("the volume to be gone", procs.Patience, func() bool {
		_, err := os.Stat(name)
		return errors.Is(err, fs.ErrNotExist) && h.quiet()
	})
	h.readAll(h.via, nil)
	load.Stop()
	require.Empty(h.t, load.Failures())
	require.NoError(h.t, load.Verify())
}

// unreadable lists the files that are refused as corrupt, or whose answer ends where their
// damage begins; all that is served is right.
func (h *healing) unreadable() (refused []string) {
	h.t.Helper()
	h.readAll(h.via, func(path string) bool {
		err := h.c.Do(h.via, http.MethodGet, "/files"+path, nil, "", nil)
		if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), `"corrupt"`) {
			return false
		}
		if !slices.Contains(refused, path) {
			refused = append(refused, path)
		}
		return true
	})
	return refused
}

// lie is a byte that was changed under a worker.
type lie struct {
	on   *procs.Node
	name string
	at   int64
	was  byte
}

// flipByte changes one byte in the middle of a file that has some; else its name is empty.
func flipByte(t *testing.T, on *procs.Node, name string) lie {
	t.Helper()
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return lie{} // it was merged into another meanwhile
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	info, err := file.Stat()
	require.NoError(t, err)
	if info.Size() < 4096 {
		return lie{}
	}
	f := lie{on: on, name: name, at: info.Size() / 2}
	var b [1]byte
	_, err = file.ReadAt(b[:], f.at)
	require.NoError(t, err)
	f.was = b[0]
	_, err = file.WriteAt([]byte{f.was ^ 0xff}, f.at)
	require.NoError(t, err)
	return f
}

// is reports whether the byte is what it was, or gone with the file: the files in it were
// moved to another volume.
func (f *lie) is(t *testing.T) (whole, gone bool) {
	t.Helper()
	file, err := os.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, true
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	var b [1]byte
	_, err = file.ReadAt(b[:], f.at)
	require.NoError(t, err)
	return b[0] == f.was, false
}
