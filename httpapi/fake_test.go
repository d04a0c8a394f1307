package httpapi

import (
	"context"
	"hash/crc32"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// fakeGateway keeps files in a map and honours conditions as apply would. Its
// hooks let a test put an error or an observer into any call.
type fakeGateway struct {
	mu          sync.Mutex
	files       map[string]*fakeFile // tenant\x00path
	contents    map[uint64][]byte    // by volume: one per version
	version     uint64
	extentBytes int
	now         time.Time
	backup      fakeBackup

	onStat   func(path string) error
	onRead   func(e *messages.Extent, from, to uint64) error
	onPut    func(ctx context.Context, req *model.PutRequest) (*messages.PutReply, error)
	onDelete func() (*messages.CommandResult, error)
	onItem   func(it *model.BatchItem) error
	onList   func(req *messages.List) (*messages.ListReply, error)
	onMove   func() (*messages.CommandResult, error)
	onCopy   func() (*messages.PutReply, error)
	onRetier func(req *model.RetierRequest) (*model.RetierResult, error)
	status   func() (*messages.ClusterStatusReply, error)
	notReady string
	// unchecked: reads are answered without a quorum's word
	unchecked bool
	puts      []*model.PutRequest
	// what the master was asked, and the newest limit of a job
	asked      []string
	limit      uint64
	wanted     uint32 // copies of every tier, by its row
	noSettings bool
	autoAsked  bool              // of the newest change of the settings
	tierAsked  *messages.SetTier // the newest change of a tier
	license    *messages.LicenseInfo
	quotas     map[string]*messages.QuotaInfo
}

type fakeFile struct {
	row     *messages.FileRow
	extents []*messages.Extent
}

func newFake() *fakeGateway {
	return &fakeGateway{
		files: map[string]*fakeFile{}, contents: map[uint64][]byte{}, extentBytes: model.MaxExtentBytes,
		now: time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC),
	}
}

func (g *fakeGateway) Put(ctx context.Context, req *model.PutRequest) (*messages.PutReply, error) {
	if g.onPut != nil {
		return g.onPut(ctx, req)
	}
	content, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, model.Errorf(model.CodeUnavailable, "put", "the body broke: %w", err)
	}
	return g.store(req, content)
}

func (g *fakeGateway) store(req *model.PutRequest, content []byte) (*messages.PutReply, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.puts = append(g.puts, req)
	sum := crc32.Checksum(content, castagnoli)
	if req.Checksum != nil && *req.Checksum != sum {
		return nil, model.Errorf(model.CodeInvalidArgument, "put", "the checksum differs")
	}
	old := g.files[req.Tenant+"\x00"+req.Path]
	if err := judge(old, &messages.Conditions{MustExist: req.MustExist, MustNotExist: req.MustNotExist, Versions: req.Versions}); err != nil {
		return nil, err
	}
	g.version++
	tier := req.Tier
	if tier == model.TierUnset {
		tier = model.TierCritical
	}
	f := &fakeFile{row: &messages.FileRow{
		Version: g.version, SizeBytes: uint64(len(content)), Crc32C: sum, Tier: uint32(tier), TierAsked: uint32(req.Tier),
		ModifiedUnixMs: g.now.UnixMilli(), ContentType: req.ContentType, Meta: req.Meta,
	}}
	volume := 100 + g.version
	g.contents[volume] = content
	for at := 0; at < len(content); at += g.extentBytes {
		f.extents = append(f.extents, &messages.Extent{Volume: volume, Offset: uint64(at), BodyBytes: uint64(min(g.extentBytes, len(content)-at))})
	}
	if len(f.extents) > 2 {
		f.row.Manifest, f.row.ManifestExtents = g.version, uint64(len(f.extents))
	} else {
		f.row.Extents = f.extents
	}
	g.files[req.Tenant+"\x00"+req.Path] = f
	return &messages.PutReply{Result: &messages.CommandResult{Version: g.version, Created: old == nil}, Row: f.row,
		Volumes: []*messages.VolumeRow{openVolume(volume, uint32(tier), "n-1")}, EpochGeneration: 1, EpochTerm: 4, ReplicationFactor: 2, CopiesWanted: g.wanted}, nil
}

func openVolume(id uint64, tier uint32, members ...string) *messages.VolumeRow {
	v := &messages.VolumeRow{Id: id, Tier: tier, State: messages.VolumeState_OPEN}
	for _, m := range members {
		v.Members = append(v.Members, &messages.VolumeMember{Node: m})
	}
	return v
}

func judge(old *fakeFile, c *messages.Conditions) error {
	refused := model.Errorf(model.CodePreconditionFailed, "apply", "the condition does not hold")
	switch {
	case c.MustNotExist && old != nil, c.MustExist && old == nil:
		return refused
	case len(c.Versions) > 0:
		for _, v := range c.Versions {
			if old != nil && old.row.Version == v {
				return nil
			}
		}
		return refused
	}
	return nil
}

func (g *fakeGateway) find(tenant, path string) (*fakeFile, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.files[tenant+"\x00"+path]
	if f == nil {
		return nil, model.Errorf(model.CodeNotFound, "stat", "there is no file at this path")
	}
	return f, nil
}

func (g *fakeGateway) Stat(_ context.Context, tenant, path string, withVolumes bool) (*messages.StatReply, error) {
	if g.onStat != nil {
		if err := g.onStat(path); err != nil {
			return nil, err
		}
	}
	f, err := g.find(tenant, path)
	if err != nil {
		return nil, err
	}
	reply := &messages.StatReply{Row: f.row, EpochGeneration: 1, EpochTerm: 5, ReplicationFactor: 2, CopiesWanted: g.wanted, Unchecked: g.unchecked}
	if withVolumes {
		reply.Volumes = []*messages.VolumeRow{openVolume(100+f.row.Version, f.row.Tier, "n-1")}
	}
	return reply, nil
}

func (g *fakeGateway) Extents(_ context.Context, tenant, path string, row *messages.FileRow) ([]*messages.Extent, error) {
	f, err := g.find(tenant, path)
	if err != nil || f.row.Version != row.Version {
		return nil, model.Errorf(model.CodeNotFound, "extents", "the version is gone")
	}
	return f.extents, nil
}

func (g *fakeGateway) ReadExtent(_ context.Context, e *messages.Extent, from, to uint64, dst []byte) ([]byte, error) {
	if g.onRead != nil {
		if err := g.onRead(e, from, to); err != nil {
			return dst, err
		}
	}
	g.mu.Lock()
	content, ok := g.contents[e.Volume]
	g.mu.Unlock()
	if !ok {
		return dst, model.Errorf(model.CodeNotFound, "read", "volume %d is dropped", e.Volume)
	}
	return append(dst, content[e.Offset+from:e.Offset+to]...), nil
}

func (g *fakeGateway) Delete(_ context.Context, tenant, path string, cond *messages.Conditions) (*messages.CommandResult, error) {
	if g.onDelete != nil {
		return g.onDelete()
	}
	f, err := g.find(tenant, path)
	if err != nil {
		return nil, err
	}
	if cond != nil {
		if err := judge(f, cond); err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.files, tenant+"\x00"+path)
	return &messages.CommandResult{}, nil
}

func (g *fakeGateway) List(_ context.Context, req *messages.List) (*messages.ListReply, error) {
	if g.onList != nil {
		return g.onList(req)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var paths []string
	for key := range g.files {
		tenant, path, _ := strings.Cut(key, "\x00")
		if tenant == req.Tenant && strings.HasPrefix(path, req.Prefix) {
			paths = append(paths, path)
		}
	}
	sort.Strings(paths)
	reply := &messages.ListReply{}
	last := ""
	for _, path := range paths {
		item := path
		if i := strings.Index(path[len(req.Prefix):], "/"); req.Delimiter != "" && i >= 0 {
			item = path[:len(req.Prefix)+i+1]
		}
		if item <= req.After || item == last {
			continue
		}
		if uint32(len(reply.Files)+len(reply.Prefixes)) == req.Limit {
			reply.Next = last
			break
		}
		if item == path {
			reply.Files = append(reply.Files, &messages.ListedFile{Path: path, Row: g.files[req.Tenant+"\x00"+path].row})
		} else {
			reply.Prefixes = append(reply.Prefixes, item)
		}
		last = item
	}
	return reply, nil
}

func (g *fakeGateway) Move(_ context.Context, tenant, from, to string, overwrite bool) (*messages.CommandResult, error) {
	if g.onMove != nil {
		return g.onMove()
	}
	f, err := g.find(tenant, from)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.files[tenant+"\x00"+to] != nil && !overwrite {
		return &messages.CommandResult{Code: string(model.CodeConflict), Message: "there is a file already", Details: map[string]string{"path": to}}, nil
	}
	delete(g.files, tenant+"\x00"+from)
	g.files[tenant+"\x00"+to] = f
	g.version++
	return &messages.CommandResult{Version: g.version, ModifiedUnixMs: f.row.ModifiedUnixMs}, nil
}

func (g *fakeGateway) Copy(_ context.Context, tenant, from, to string, overwrite bool) (*messages.PutReply, error) {
	if g.onCopy != nil {
		return g.onCopy()
	}
	f, err := g.find(tenant, from)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	content := g.contents[100+f.row.Version]
	g.mu.Unlock()
	return g.store(&model.PutRequest{Tenant: tenant, Path: to, Tier: model.Tier(f.row.Tier), MustNotExist: !overwrite}, content)
}

func (g *fakeGateway) Retier(_ context.Context, req *model.RetierRequest) (*model.RetierResult, error) {
	return g.onRetier(req)
}

func (g *fakeGateway) Status(context.Context) (*messages.ClusterStatusReply, error) {
	return g.status()
}

func (g *fakeGateway) Ready() (bool, string) { return g.notReady == "", g.notReady }
