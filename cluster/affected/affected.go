package affected

import (
	"slices"

	"tiercel/cluster/catalog"
	"tiercel/cluster/compaction"
	"tiercel/cluster/model"
	"tiercel/cluster/replication"
	"tiercel/messages"
)

// Page is a part of the files concerned, in order of tenant and path.
type Page struct {
	Files []*messages.AffectedFile
	// Next is passed as after; empty at the end. Within: it is inside of a file, whose
	// other pieces come with the next page under the same name; see Merge.
	Next   string
	Within bool
}

// Files goes on behind after, empty at the beginning, over the files of a tenant, empty
// for all, for about so many rows and up to limit files. It costs what it looks at, and
// one look at each volume; nothing more when no volume is concerned. What the cluster
// keeps for itself is left out: nobody stored it, and nobody could store it again.
func Files(c *catalog.Catalog, tenant, after string, rows, limit int) (p Page) {
	volumes := concerned(c)
	if len(volumes) == 0 {
		return p
	}
	if after == "" && tenant != "" {
		after = catalog.FilesOf(tenant)
	}
	named := make(map[uint64]bool, len(volumes))
	for id := range volumes { // a set: the order does not matter
		named[id] = true
	}
	found, next := c.Named(named, after, rows)
	for _, n := range found {
		state := pieceState(volumes[n.Extent.Volume], n.Extent)
		if state == messages.ContentState_CONTENT_STATE_UNSPECIFIED || n.Upload != 0 || n.Tenant == model.SystemTenant || tenant != "" && n.Tenant != tenant {
			continue
		}
		piece := &messages.AffectedFile{Tenant: n.Tenant, Path: n.Path, Version: n.Version, State: state, Volumes: []uint64{n.Extent.Volume}}
		if p.Files = Merge(p.Files, piece); len(p.Files) > max(limit, 1) {
			p.Files = p.Files[:len(p.Files)-1]
			last := p.Files[len(p.Files)-1]
			next = catalog.Behind(last.Tenant, last.Path)
			break
		}
	}
	for _, f := range p.Files {
		row, _ := c.Stat(f.Tenant, f.Path)
		f.SizeBytes = row.GetSizeBytes()
	}
	if at, within, ok := catalog.Among(next); ok && (tenant == "" || at == tenant) {
		p.Next, p.Within = next, within
	}
	return p
}

// MaxVolumes bounds the volumes that are named of one file.
const MaxVolumes = 64

// Merge appends a file, or adds its pieces to the last one when it is that.
func Merge(files []*messages.AffectedFile, f *messages.AffectedFile) []*messages.AffectedFile {
	if len(files) == 0 || files[len(files)-1].Tenant != f.Tenant || files[len(files)-1].Path != f.Path {
		return append(files, f)
	}
	last := files[len(files)-1]
	last.Version, last.SizeBytes = f.Version, max(last.SizeBytes, f.SizeBytes)
	last.State = max(last.State, f.State)
	for _, id := range f.Volumes {
		if at, there := slices.BinarySearch(last.Volumes, id); !there {
			last.Volumes = slices.Insert(last.Volumes, at, id)
		}
	}
	last.Volumes = last.Volumes[:min(len(last.Volumes), MaxVolumes)]
	return files
}

// concern is a volume of which something cannot be read.
type concern struct {
	row  *messages.VolumeRow
	rest messages.ContentState // of what is not in a lost range
}

// concerned finds the volumes of which something cannot be read.
func concerned(c *catalog.Catalog) map[uint64]concern {
	volumes := make(map[uint64]concern)
	for _, row := range c.Volumes() {
		stands := replication.StandingOf(row, func(node string) messages.WorkerState {
			w, _ := c.Worker(node)
			return w.GetState()
		})
		if v := (concern{row: row, rest: restState(row, stands)}); stands.Lost || v.rest != messages.ContentState_CONTENT_STATE_UNSPECIFIED {
			volumes[row.Id] = v
		}
	}
	return volumes
}

// restState is how a volume stands where nothing is logged as lost.
func restState(row *messages.VolumeRow, stands replication.Standing) messages.ContentState {
	switch {
	case compaction.Damaged(row):
		return messages.ContentState_CONTENT_DAMAGED
	case stands.Stranded:
		return messages.ContentState_CONTENT_STRANDED
	case stands.Lost && len(row.Lost) == 0:
		return messages.ContentState_CONTENT_LOST
	}
	return messages.ContentState_CONTENT_STATE_UNSPECIFIED
}

// pieceState is how one extent of such a volume stands.
func pieceState(v concern, e *messages.Extent) messages.ContentState {
	if catalog.ExtentState(v.row, e) == catalog.ExtentLost {
		return messages.ContentState_CONTENT_LOST
	}
	return v.rest
}
