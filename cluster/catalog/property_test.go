package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// story makes random commands that know the state well enough to succeed often,
// and badly enough to meet every refusal.
type story struct {
	rng *rand.Rand
	r   *rig
	// sent holds earlier commands, to be sent again.
	sent []*messages.Command
	next map[uint64]uint64 // sequence by session
}

func (s *story) path() string { return fmt.Sprintf("/%c", 'a'+rune(s.rng.IntN(6))) }

func (s *story) some(n int) uint64 { return uint64(s.rng.IntN(n)) }

// id is one of the numbers given lately, or not.
func (s *story) id(prefix string) uint64 {
	var ids []uint64
	s.r.ix.Ascend(prefix, func(key, _ string) bool {
		var id uint64
		if n, _ := fmt.Sscanf(key, prefix+"%016x", &id); n == 1 {
			ids = append(ids, id)
		}
		return true
	})
	if len(ids) == 0 || s.rng.IntN(20) == 0 {
		return s.some(100)
	}
	return ids[s.rng.IntN(len(ids))]
}

func (s *story) volume() *messages.VolumeRow {
	volumes := s.r.c.Volumes()
	if len(volumes) == 0 {
		return &messages.VolumeRow{Id: 1, Generation: 1, Tier: 1}
	}
	// The newest are the likeliest to be open.
	return volumes[max(0, len(volumes)-1-s.rng.IntN(4))]
}

func (s *story) extents(n int) (extents []*messages.Extent, tier uint32, size uint64) {
	row := s.volume()
	for range n {
		e := &messages.Extent{Volume: row.Id, Generation: row.Generation, BodyBytes: s.some(30)}
		e.RecordBytes = e.BodyBytes + 40
		e.Offset = max(s.r.ends[row.Id], row.GenerationStart)
		s.r.ends[row.Id] = e.Offset + e.RecordBytes
		size += e.BodyBytes
		extents = append(extents, e)
	}
	return extents, row.Tier, size
}

func (s *story) attributes(tier uint32, size uint64) *messages.FileAttributes {
	f := &messages.FileAttributes{Tenant: "default", Path: s.path(), Tier: tier, SizeBytes: size, Crc32C: uint32(size)}
	if s.rng.IntN(4) == 0 {
		f.Tenant = "other"
	}
	if s.rng.IntN(5) == 0 {
		f.Meta = map[string]string{"b": "1", "a": "2", "c": "3"}
	}
	f.Conditions = s.conditions(f.Path)
	return f
}

func (s *story) conditions(path string) *messages.Conditions {
	switch s.rng.IntN(8) {
	case 0:
		return &messages.Conditions{MustNotExist: true}
	case 1:
		return &messages.Conditions{MustExist: true}
	case 2:
		row, _ := s.r.c.Stat("default", path)
		return &messages.Conditions{Versions: []uint64{row.GetVersion()}}
	}
	return nil
}

// command makes the next one.
func (s *story) command() *messages.Command {
	if len(s.sent) > 0 && s.rng.IntN(10) == 0 {
		return s.sent[s.rng.IntN(len(s.sent))]
	}
	cmd := s.kind()
	cmd.ProposedUnixMs = int64(s.some(1000))
	if s.rng.IntN(4) == 0 {
		cmd.IdempotencyKey = fmt.Sprintf("k%d", s.some(8))
	}
	if session := s.id("s/"); s.rng.IntN(4) > 0 && session != 0 {
		s.next[session] += 1 + s.some(2)
		cmd.Session, cmd.Sequence = session, s.next[session]
		cmd.LowWater = cmd.Sequence - min(cmd.Sequence, s.some(6))
	}
	s.sent = append(s.sent, cmd)
	return cmd
}

func (s *story) kind() *messages.Command {
	switch n := s.rng.IntN(120); {
	case n >= 119:
		return noteTime(int64(s.some(3000)))
	case n >= 116:
		level := []string{"free", "standard", "professional", "enterprise", "enterprise", "gold"}[s.some(6)]
		cmd := setLicense(level, int64(s.some(3000)), 500+int64(s.some(3000)))
		cmd.GetSetLicense().License.IssuedUnixMs, cmd.GetSetLicense().IfNewer = int64(s.some(3000)), s.some(2) == 0
		return cmd
	case n >= 115:
		return removeQuota([]string{"default", "other", "new", "Bad"}[s.some(4)])
	case n >= 112:
		return setQuota([]string{"default", "other", "new"}[s.some(3)], int64(s.some(4000))-100)
	case n >= 106:
		return s.move()
	case n >= 103:
		v := s.oldVolume()
		return retireVolume(v.Id, v.Generation)
	case n >= 100:
		v := s.oldVolume()
		return dropVolume(v.Id, v.Generation)
	case n < 35:
		count := s.rng.IntN(3)
		if s.rng.IntN(6) == 0 {
			count = s.rng.IntN(1200)
		}
		extents, tier, size := s.extents(count)
		return putFile(&messages.PutFile{File: s.attributes(max(tier, 1), size), Extents: extents})
	case n < 50:
		path := s.path()
		return deleteFile(path, s.conditions(path))
	case n < 58:
		return moveFile(s.path(), s.path(), s.rng.IntN(2) == 0)
	case n < 70:
		return s.stage()
	case n < 78:
		return s.commit()
	case n < 80:
		return abortUpload(s.id("u/"))
	case n < 85:
		return createVolume(model.Tiers[s.rng.IntN(3)], []string{"n-1", "n-2"}[:1+s.rng.IntN(2)]...)
	case n < 88:
		v := s.volume()
		return seal(v.Id, v.Generation, v.CommittedEnd+s.some(100))
	case n < 92:
		v := s.volume()
		return reopen(v.Id, v.Generation, v.CommittedEnd+s.some(300)-min(v.CommittedEnd, s.some(100)))
	case n < 95:
		return openSession(fmt.Sprintf("n-%d", s.some(3)), s.some(4))
	case n < 97:
		return masterStarted(fmt.Sprintf("n-%d", s.some(3)), s.some(20))
	case n < 98:
		return bootstrap()
	}
	return checkHash(s.r.index, s.r.c.StateHash())
}

func (s *story) stage() *messages.Command {
	extents, _, _ := s.extents(s.rng.IntN(90))
	if s.rng.IntN(2) == 0 {
		return stage(0, 0, extents)
	}
	id := s.id("u/")
	row := &messages.UploadRow{}
	value, _ := s.r.ix.Get("u/" + hex16(id))
	require.NoError(s.r.t, proto.Unmarshal([]byte(value), row))
	cmd := stage(id, row.Extents, extents)
	cmd.Session = row.Session
	return s.inSession(cmd)
}

func (s *story) commit() *messages.Command {
	id := s.id("u/")
	row := &messages.UploadRow{}
	value, _ := s.r.ix.Get("u/" + hex16(id))
	require.NoError(s.r.t, proto.Unmarshal([]byte(value), row))
	tier := uint32(1)
	if first := s.r.c.Manifest(id, 0, 1); len(first) > 0 {
		v, _ := s.r.c.Volume(first[0].Volume)
		tier = v.GetTier()
	}
	f := s.attributes(tier, row.SizeBytes)
	f.Tenant = "default"
	cmd := commitUpload(f, id, row.Extents)
	cmd.Session = row.Session
	return s.inSession(cmd)
}

// oldVolume is any volume, the sealed ones among them.
func (s *story) oldVolume() *messages.VolumeRow {
	volumes := s.r.c.Volumes()
	if len(volumes) == 0 || s.rng.IntN(10) == 0 {
		return &messages.VolumeRow{Id: s.some(20), Generation: 1}
	}
	return volumes[s.rng.IntN(len(volumes))]
}

// move takes what a walk finds in some volumes elsewhere, or not quite.
func (s *story) move() *messages.Command {
	named := map[uint64]bool{}
	for _, v := range s.r.c.Volumes() {
		if v.State == messages.VolumeState_RETIRING || s.rng.IntN(20) == 0 {
			named[v.Id] = true
		}
	}
	found, _ := s.r.c.Named(named, "", 1+s.rng.IntN(40))
	if len(found) == 0 {
		return moveExtents(&messages.MoveExtents{Tenant: "default", Path: s.path(), Version: s.some(50)})
	}
	first := found[s.rng.IntN(len(found))]
	from, _ := s.r.c.Volume(first.Extent.Volume)
	move := &messages.MoveExtents{Tenant: first.Tenant, Path: first.Path, Version: first.Version, Upload: first.Upload}
	for _, v := range s.r.c.Volumes() {
		if v.State != messages.VolumeState_OPEN || v.Tier != from.Tier {
			continue
		}
		for _, n := range found {
			if n.Path == first.Path && n.Tenant == first.Tenant && n.Upload == first.Upload && len(move.Moves) < catalog.MaxMovesPerCommand {
				move.Moves = append(move.Moves, moved(n.Position, n.Extent, s.r.extent(v.Id, n.Extent.BodyBytes)))
			}
		}
		break
	}
	if s.rng.IntN(8) == 0 {
		move.Version++
	}
	return moveExtents(move)
}

func (s *story) inSession(cmd *messages.Command) *messages.Command {
	if cmd.Session != 0 {
		s.next[cmd.Session]++
		cmd.Sequence = s.next[cmd.Session]
	}
	return cmd
}

// TestCatalog_StaysConsistentUnderRandomCommands runs the same log on two
// catalogs: one entry at a time with every check, and in batches of any size.
func TestCatalog_StaysConsistentUnderRandomCommands(t *testing.T) {
	codes := map[string]int{}
	for seed := range uint64(12) {
		r := emptyRig(t)
		s := &story{rng: rand.New(rand.NewPCG(seed, 7)), r: r, next: map[uint64]uint64{}}
		const limit = 2000
		follower := newMemIndex()
		for _, ix := range []*memIndex{r.ix, follower} {
			ix.Begin()
			ix.Set("t/default", encode(t, &messages.TenantRow{Limited: true, LimitBytes: limit}))
			ix.End()
		}
		r.c = catalog.New(r.ix)
		batched := catalog.New(follower)
		log := []*messages.Command{bootstrap(), createVolume(1, "n-1"), openSession("n-1", 1)}
		batch := 0
		for step := range 320 {
			cmd := s.at(log, step)
			wire := encode(t, cmd)
			res := r.do(cmd)
			codes[res.Code+" "+fmt.Sprintf("%T", cmd.Kind)]++
			require.Equal(t, wire, encode(t, cmd), "apply does not change its command")
			for _, name := range r.c.Limited() {
				row, _ := r.c.Tenant(name)
				require.LessOrEqual(t, row.UsedBytes, max(row.LimitBytes, row.UsedWhenLimitedBytes), "%s, after %v", name, cmd)
			}

			if batch == 0 {
				batch = 1 + s.rng.IntN(20)
				batched.Begin()
			}
			again, err := batched.Apply(r.index, cmd)
			require.NoError(t, err)
			require.True(t, proto.Equal(res, again), "%v, %v", res, again)
			if batch--; batch == 0 {
				batched.End()
				require.Equal(t, r.c.StateHash(), batched.StateHash())
				require.Equal(t, r.ix.rows, follower.rows)
			}
			if s.rng.IntN(25) == 0 {
				r.c = catalog.New(r.ix) // a restart from these rows changes nothing
			}
		}
	}
	// The story is worth nothing if it never gets anywhere.
	for _, want := range []string{
		" *messages.Command_PutFile", " *messages.Command_CommitUpload", " *messages.Command_MoveFile",
		" *messages.Command_DeleteFile", " *messages.Command_StageExtents", " *messages.Command_AbortUpload",
		" *messages.Command_RetireVolume", " *messages.Command_MoveExtents", " *messages.Command_DropVolume",
		"conflict *messages.Command_MoveExtents", "conflict *messages.Command_DropVolume", "conflict *messages.Command_RetireVolume",
		" *messages.Command_SealVolume", " *messages.Command_ReopenVolume", " *messages.Command_CheckStateHash",
		"quota_exceeded *messages.Command_PutFile", " *messages.Command_SetQuota", " *messages.Command_RemoveQuota",
		"invalid_argument *messages.Command_SetQuota", "invalid_argument *messages.Command_RemoveQuota", "volume_sealed *messages.Command_PutFile",
		"precondition_failed *messages.Command_PutFile", "conflict *messages.Command_PutFile",
		"outcome_unknown *messages.Command_PutFile", "conflict *messages.Command_MoveFile",
	} {
		assert.NotZero(t, codes[want], "%q never happened", want)
	}
}

// at is the beginning of the log, then the story.
func (s *story) at(begin []*messages.Command, step int) *messages.Command {
	if step < len(begin) {
		return begin[step]
	}
	return s.command()
}
