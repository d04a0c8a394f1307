package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// FuzzTier lays any JSON over the row of a tier: what is taken is within the limits
// that the catalog has.
func FuzzTier(f *testing.F) {
	for _, s := range []string{
		`{"copies":2,"min_copies":1,"disk_preference":"hdd"}`, `{"prefixes":["/a/","/b"],"suffixes":[".x"]}`, `{"copies":null}`, `{"copies":17}`,
		`{"copies":1e3}`, `{"copeis":1}`, `{"prefixes":[{}]}`, `[]`, `{"prefixes":["/models/"]}`,
	} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, tier uint8) {
		tier = tier%3 + 1
		set, err := decodeTier(body, fakeCluster(), model.Tier(tier))
		if refused(t, err) {
			return
		}
		row := set.Tier
		require.Equal(t, uint32(tier), row.Tier)
		require.LessOrEqual(t, row.Copies, uint32(maxCopies))
		require.LessOrEqual(t, row.MinCopies, uint32(maxCopies))
		for _, p := range row.Prefixes {
			require.NoError(t, model.CheckPrefix(p))
		}
		require.LessOrEqual(t, len(row.Prefixes)+len(row.Suffixes), maxTierPatterns)
	})
}

// FuzzConfigVersion reads any If-Match of a configuration.
func FuzzConfigVersion(f *testing.F) {
	for _, s := range []string{`17`, `"17"`, `*`, `W/"1"`, `"1`, `-1`, ``, ` 5 `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		version, whichever, err := readConfigVersion(raw)
		if err != nil {
			require.Contains(t, []model.Code{model.CodeInvalidArgument, model.CodePreconditionFailed}, model.CodeOf(err))
			return
		}
		require.False(t, whichever && version != 0)
	})
}

// FuzzStatusRows shows any row that decodes as what the master would answer: what is
// stored by another version must not break an answer.
func FuzzStatusRows(f *testing.F) {
	f.Add("n-1", "nvme", uint64(1<<63), uint32(9), true)
	f.Add("", "\xff", uint64(0), uint32(0), false)
	f.Fuzz(func(t *testing.T, node, disk string, size uint64, n uint32, open bool) {
		w := inMemory(t, Config{})
		w.gw.status = func() (*messages.ClusterStatusReply, error) {
			v := &messages.VolumeRow{Id: size, Tier: n, CommittedEnd: size, SealedEnd: size, State: messages.VolumeState(n), Members: []*messages.VolumeMember{{Node: node, Verified: open}}}
			return &messages.ClusterStatusReply{
				Cluster: &messages.ClusterRow{Generation: size, Term: size, Master: node, MasterSinceUnixMs: int64(size)}, WorkerNodes: []string{node},
				Workers: []*messages.WorkerRow{{DiskType: disk, State: messages.WorkerState(n)}}, Volumes: []*messages.VolumeRow{v, {}},
				Capacity: []*messages.CapacityReport{{TotalBytes: size, UsedBytes: size, FreeBytes: size, DiskType: disk}}, Totals: []*messages.TenantRow{{UsedBytes: int64(size), Files: int64(size)}},
			}, nil
		}
		r := w.do("GET", "http://tiercel"+basePath+"/cluster/status", nil)
		require.Equal(t, 200, r.status, "%s", r.body)
	})
}
