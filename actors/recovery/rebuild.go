package recovery

import (
	"hash/crc32"
	"math"
	"slices"

	"tiercel/cluster/archive"
	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rebuilding makes the catalog of the next life: every change is a command, judged by
// the same rules as in a running cluster.
type rebuilding struct {
	*sources
	base   *base
	report *Report
	// unlimited are tenants whose limits are taken away.
	unlimited []string
	now       int64
	index     uint64 // log index of the next command
}

func (r *rebuilding) apply(cmd *messages.Command) (*messages.CommandResult, error) {
	cmd.ProposedUnixMs = r.now
	res, err := r.base.cat.Apply(r.index, cmd)
	r.index++
	return res, err
}

func (r *rebuilding) rebuild(fork string, founder model.NodeID) error {
	cat := r.base.cat
	res, err := r.apply(&messages.Command{Kind: &messages.Command_RecoverCatalog{RecoverCatalog: &messages.RecoverCatalog{
		Generation: r.report.Generation, Fork: fork, Cause: "recovered by an operator", Founder: string(founder),
	}}})
	if err == nil {
		err = r.refusedBy(res)
	}
	if err != nil {
		return err
	}
	for _, step := range []func() error{r.lift, r.volumes, r.records, r.uploads} {
		if err := step(); err != nil {
			return err
		}
	}
	r.count(founder)
	r.elsewhere()
	return cat.Err()
}

// count sums up what is in the catalog, and who is not here.
func (r *rebuilding) count(founder model.NodeID) {
	cat := r.base.cat
	totals := cat.Totals()
	r.report.Files, r.report.Bytes = totals.Files, totals.UsedBytes
	if own, there := cat.Tenant(model.SystemTenant); there {
		r.report.OwnFiles = own.Files
	}
	tenants, _ := cat.Tenants("", math.MaxInt-1, false)
	for _, t := range tenants {
		if t.Row.GetFiles() > 0 {
			r.report.Tenants++
		}
	}
	nodes, rows := cat.Workers()
	for i, node := range nodes {
		here := node == string(founder) || slices.ContainsFunc(r.dirs, func(d *source) bool { return string(d.id) == node })
		if !here && rows[i].State != messages.WorkerState_LEFT {
			r.report.Absent = append(r.report.Absent, model.NodeID(node))
		}
	}
}

// lift takes limits away: no command that apply accepts raises a usage above its limit,
// those of a recovery included.
func (r *rebuilding) lift() error {
	for _, tenant := range r.unlimited {
		if row, there := r.base.cat.Tenant(tenant); !there || !row.Limited {
			r.report.note("the tenant %s has no limit", tenant)
			continue
		}
		res, err := r.apply(&messages.Command{Kind: &messages.Command_RemoveQuota{RemoveQuota: &messages.RemoveQuota{Tenant: tenant}}})
		if err == nil {
			err = r.refusedBy(res)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// volumes enters what was made after the recovered state, and lets reopened ones have
// the generation of their file.
func (r *rebuilding) volumes() error {
	for _, id := range r.ids() {
		copies := r.copies(id)
		if len(copies) == 0 {
			continue
		}
		longest := copies[0].state
		row, there := r.base.cat.Volume(uint64(id))
		if there && (row.State != messages.VolumeState_OPEN || len(row.Members) != 1 || longest.Generation <= row.Generation) ||
			!there && !catalog.MayBeData(r.base.cat.Cluster(), uint64(id)) {
			continue
		}
		adopt := &messages.AdoptVolume{
			Volume: uint64(id), Tier: uint32(longest.Tier), Generation: longest.Generation, GenerationStart: longest.Start, End: longest.End,
			Cause: "found by a recovery",
		}
		for _, c := range copies {
			if c.state.Generation == longest.Generation {
				adopt.Copies = append(adopt.Copies, &messages.MemberRef{Node: string(c.dir.id), ReplicaGen: c.state.ReplicaGen})
			}
		}
		res, err := r.apply(&messages.Command{Kind: &messages.Command_AdoptVolume{AdoptVolume: adopt}})
		if err != nil {
			return err
		}
		if err := r.refusedBy(res); err != nil {
			r.report.note("volume %d stays as it is, and its workers will set it aside: %s", id, text(err))
		}
	}
	return nil
}

// records puts what the recovered catalog does not know under /lost+found: never under
// its old path, for it may have been refused, deleted or renamed.
func (r *rebuilding) records() error {
	for _, id := range r.ids() {
		copies := r.copies(id)
		row, there := r.base.cat.Volume(uint64(id))
		if len(copies) == 0 || !there || row.State == messages.VolumeState_RETIRING {
			continue
		}
		best := copies[0]
		var failed error
		err := best.dir.volumes.Walk(id, r.base.floor[uint64(id)], func(rec store.Record, at store.Placed) error {
			if !r.unknown(id, rec, at) || at.Offset+at.RecordBytes > best.state.End {
				return nil // what lies behind damage is cut when the volume is sealed
			}
			if beyond := row.State == messages.VolumeState_SEALED && at.Offset+at.RecordBytes > row.SealedEnd; beyond {
				return nil // the log has ended the volume before it: nobody was told that it is stored
			}
			failed = r.keep(id, copies, rec, at)
			return failed
		})
		if failed != nil {
			return failed
		}
		if err != nil {
			r.report.note("%s: %s", best.dir.name, text(err))
		}
	}
	return nil
}

// unknown reports whether neither checkpoint nor journal has heard of a record. What
// compaction writes (session 0) are copies of what the catalog knows elsewhere.
func (r *rebuilding) unknown(id model.VolumeID, rec store.Record, at store.Placed) bool {
	return rec.Tenant != model.SystemTenant && rec.Session != 0 && !r.base.seen[spot{uint64(id), at.Offset}]
}

// keep names a record under /lost+found.
func (r *rebuilding) keep(id model.VolumeID, copies []held, rec store.Record, at store.Placed) error {
	f := Found{Tenant: rec.Tenant, Original: rec.Path, Bytes: at.BodyBytes}
	f.Path = archive.LostPath(r.report.Generation, rec.Path, uint64(id), at.Offset, rec.Part)
	places := make([]place, 0, len(copies))
	for _, c := range copies {
		places = append(places, place{dir: c.dir, volume: id, at: at})
	}
	body, err := r.read(places)
	if err != nil {
		f.Reason = text(err)
		r.report.NotFound = append(r.report.NotFound, f)
		return nil
	}
	if r.repeated(rec, body) {
		r.report.Identical++
		return nil
	}
	// Of the tier of the volume it lies in, and none is asked for: that could be refused for
	// want of a licence.
	res, err := r.apply(&messages.Command{Kind: &messages.Command_PutFile{PutFile: &messages.PutFile{
		File: &messages.FileAttributes{
			Tenant: rec.Tenant, Path: f.Path, Tier: uint32(copies[0].state.Tier), SizeBytes: at.BodyBytes, Crc32C: crc32.Checksum(body, castagnoli),
			Meta: archive.LostMeta(rec.Path, rec.Part), Conditions: &messages.Conditions{MustNotExist: true},
		},
		Extents: []*messages.Extent{{
			Volume: uint64(id), Generation: copies[0].state.Generation, Offset: at.Offset, RecordBytes: at.RecordBytes, BodyBytes: at.BodyBytes, HeaderCrc32C: at.HeaderCRC,
		}},
	}}})
	return r.kept(f, res, err)
}

// repeated reports whether the recovered catalog has the same content at the path, and it
// can be read from these directories: then nothing is missing without the record.
func (r *rebuilding) repeated(rec store.Record, body []byte) bool {
	row, there := r.base.cat.Stat(rec.Tenant, rec.Path)
	if !there || !archive.Identical(row, uint64(len(body)), crc32.Checksum(body, castagnoli), rec.Parts) {
		return false
	}
	return row.Manifest == 0 && !slices.ContainsFunc(row.Extents, func(e *messages.Extent) bool {
		copies := r.copies(model.VolumeID(e.Volume))
		return len(copies) == 0 || copies[0].state.End < e.Offset+e.RecordBytes
	})
}

func (r *rebuilding) kept(f Found, res *messages.CommandResult, err error) error {
	if err != nil {
		return err
	}
	if err := r.refusedBy(res); err != nil {
		f.Reason, f.Refused = text(err), true
		r.report.NotFound = append(r.report.NotFound, f)
		return nil
	}
	r.report.Found = append(r.report.Found, f)
	return nil
}

// uploads puts large files whose parts are staged under /lost+found: whether their
// commit was acknowledged, nobody knows any more.
func (r *rebuilding) uploads() error {
	for _, u := range r.base.cat.Uploads() {
		if u.Extents == 0 {
			continue
		}
		f := Found{Tenant: u.Tenant, Bytes: u.Size}
		crc, path, err := r.readUpload(u)
		if err != nil {
			f.Reason = text(err)
			r.report.NotFound = append(r.report.NotFound, f)
			continue
		}
		f.Original, f.Path = path, archive.LostPath(r.report.Generation, path, u.ID, 0, 0)
		res, err := r.apply(&messages.Command{
			Session: u.Session, Sequence: math.MaxUint64 - u.ID, // above any that its gateway has given
			Kind: &messages.Command_CommitUpload{CommitUpload: &messages.CommitUpload{
				Upload: u.ID, Extents: u.Extents,
				File: &messages.FileAttributes{
					Tenant: u.Tenant, Path: f.Path, Tier: u.Tier, SizeBytes: u.Size, Crc32C: crc,
					Meta: archive.LostMeta(path, 0), Conditions: &messages.Conditions{MustNotExist: true},
				},
			}},
		})
		if err := r.kept(f, res, err); err != nil {
			return err
		}
	}
	return nil
}

// uploadChunk is how many extents are looked at in one go.
const uploadChunk = 1024

// readUpload reads what an upload has staged, for its checksum and the path in it.
func (r *rebuilding) readUpload(u catalog.OpenUpload) (crc uint32, path string, err error) {
	for at := uint64(0); at < u.Extents; {
		extents := r.base.cat.Manifest(u.ID, at, uploadChunk)
		if len(extents) == 0 {
			return 0, "", model.Errorf(model.CodeCorrupt, op, "the upload names %d pieces and has %d", u.Extents, at)
		}
		for _, e := range extents {
			placed := store.Placed{Offset: e.Offset, RecordBytes: e.RecordBytes, BodyBytes: e.BodyBytes, HeaderCRC: e.HeaderCrc32C}
			var places []place
			for _, c := range r.copies(model.VolumeID(e.Volume)) {
				places = append(places, place{dir: c.dir, volume: model.VolumeID(e.Volume), at: placed})
			}
			if len(places) == 0 {
				return 0, "", model.Errorf(model.CodeUnavailable, op, "a piece of it is in volume %d, which is in none of the directories", e.Volume)
			}
			body, err := r.read(places)
			if err != nil {
				return 0, "", err
			}
			crc = crc32.Update(crc, castagnoli, body)
			if path == "" {
				rec, err := places[0].dir.volumes.CheckRecord(places[0].volume, e.Offset, e.RecordBytes, e.HeaderCrc32C)
				if err != nil {
					return 0, "", err
				}
				path = rec.Path
			}
		}
		at += uint64(len(extents))
	}
	return crc, path, nil
}

// elsewhere counts the files of which a part is in none of the directories. They can
// be read when the workers that hold them are back.
func (r *rebuilding) elsewhere() {
	ends, volumes := make(map[uint64]uint64), make(map[uint64]bool)
	for _, id := range r.ids() {
		if copies := r.copies(id); len(copies) > 0 {
			ends[uint64(id)] = copies[0].state.End
		}
	}
	for _, row := range r.base.cat.Volumes() {
		volumes[row.Id] = true
	}
	last, next := "", ""
	for {
		var found []*messages.NamedExtent
		found, next = r.base.cat.Named(volumes, next, 4096)
		for _, n := range found {
			file := n.Tenant + "\x00" + n.Path
			if n.Upload != 0 || n.Tenant == model.SystemTenant || file == last || n.Extent.Offset+n.Extent.RecordBytes <= ends[n.Extent.Volume] {
				continue
			}
			last = file
			r.report.Elsewhere++
			if len(r.report.Missing) < maxMissing {
				r.report.Missing = append(r.report.Missing, n.Path)
			}
		}
		if next == "" {
			return
		}
	}
}
