package recovery

import (
	"errors"
	"fmt"
	"slices"

	"tiercel/cluster/archive"
	"tiercel/cluster/model"
	"tiercel/store"
)

// source is one opened data directory.
type source struct {
	name    string
	dir     *store.DataDir
	node    store.NodeFile
	id      model.NodeID // as the catalog has it
	volumes *store.Volumes
	states  []store.VolumeState
}

// place is where a record lies.
type place struct {
	dir    *source
	volume model.VolumeID
	at     store.Placed
	file   store.File // instead of a volume: a file that was carried here
}

// sources are all directories, and what of the archive was seen in them.
type sources struct {
	dirs  []*source
	items map[archive.Item][]place
	files []store.File // opened for them
}

func openSources(opt Options) (*sources, error) {
	s := &sources{items: make(map[archive.Item][]place)}
	if len(opt.Dirs) == 0 {
		return s, model.Errorf(model.CodeInvalidArgument, op, "no data directory is named")
	}
	for _, d := range opt.Dirs {
		if err := s.open(d, opt); err != nil {
			return s, err
		}
	}
	if !opt.DiscardLog {
		if err := s.refuseIntact(opt.worker); err != nil {
			return s, err
		}
	}
	for i, d := range s.dirs {
		var err error
		if d.volumes, d.states, err = store.OpenVolumes(opt.Dirs[i].FS, store.VolumeOptions{}); err != nil {
			return s, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return s, nil
}

func (s *sources) open(d Dir, opt Options) error {
	if isNew, err := store.IsNew(d.FS); err != nil || isNew {
		return errors.Join(err, model.Errorf(model.CodeNotFound, op, "%s is no data directory of a node", d.Name))
	}
	dir, err := store.OpenDataDir(d.FS, opt.Random, false)
	if err != nil {
		return model.Errorf(model.CodeOf(err), op, "%s: %s", d.Name, text(err))
	}
	src := &source{name: d.Name, dir: dir, node: dir.Identity(), id: d.Node}
	if src.id == "" {
		src.id = src.node.NodeID
	}
	s.dirs = append(s.dirs, src)
	first := s.dirs[0].node
	switch {
	case src.node.ClusterID != first.ClusterID:
		return model.Errorf(model.CodeConflict, op, "%s is of cluster %s, and %s of cluster %s", d.Name, src.node.ClusterID, s.dirs[0].name, first.ClusterID)
	case slices.ContainsFunc(s.dirs[:len(s.dirs)-1], func(o *source) bool { return o.node.NodeID == src.node.NodeID }):
		return model.Errorf(model.CodeConflict, op, "%s is a copy of another of the directories: both are of node %s", d.Name, src.node.NodeID)
	}
	return nil
}

func (s *sources) close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	for _, d := range s.dirs {
		if d.volumes != nil {
			errs = append(errs, d.volumes.Close())
		}
		errs = append(errs, d.dir.Close())
	}
	return errors.Join(errs...)
}

// survey looks for pieces of the archive: by the names of records, so that it needs no
// catalog.
func (s *sources) survey(report *Report) error {
	for i, d := range s.dirs {
		report.Dirs = append(report.Dirs, DirReport{Name: d.name, Node: d.id, Founder: i == 0, Volumes: len(d.states)})
		for _, v := range d.states {
			if v.Damage != "" {
				report.note("%s: volume %d: %s", d.name, v.ID, v.Damage)
			}
			if v.Tier != model.TierCritical || v.Broken {
				continue
			}
			err := d.volumes.Walk(v.ID, 0, func(rec store.Record, at store.Placed) error {
				if rec.Tenant != model.SystemTenant {
					return nil
				}
				if item, ok := archive.Parse(rec.Path); ok {
					s.items[item] = append(s.items[item], place{dir: d, volume: v.ID, at: at})
				}
				return nil
			})
			if err != nil {
				report.note("%s: %s", d.name, text(err))
			}
		}
	}
	return nil
}

// read returns the content of a record from the first copy that is intact.
func (s *sources) read(places []place) ([]byte, error) {
	var errs []error
	for _, p := range places {
		body, err := p.content()
		if err == nil {
			return body, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// copies are the directories that hold a volume, the longest copy first.
func (s *sources) copies(id model.VolumeID) (out []held) {
	for _, d := range s.dirs {
		for _, v := range d.states {
			if v.ID == id && !v.Broken && v.End > store.DataStart {
				out = append(out, held{dir: d, state: v})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b held) int {
		switch {
		case a.state.End > b.state.End:
			return -1
		case a.state.End < b.state.End:
			return 1
		}
		return 0
	})
	return out
}

// held is one copy of a volume.
type held struct {
	dir   *source
	state store.VolumeState
}

// ids are all volumes of all directories, in order.
func (s *sources) ids() (out []model.VolumeID) {
	for _, d := range s.dirs {
		for _, v := range d.states {
			out = append(out, v.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
