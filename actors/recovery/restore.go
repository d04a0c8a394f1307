package recovery

import (
	"errors"
	"fmt"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/store"
)

// Restore makes a node of an empty directory whose log begins with a backup, one
// generation higher (opt.Generation, if it is given). It holds no volumes: the workers
// of the old cluster bring theirs when they join. Only Backup, one of Dirs, Generation,
// Random and Now count.
func Restore(opt Options) (_ *Report, err error) {
	const op = "restore"
	if len(opt.Dirs) != 1 {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "a backup is restored to one directory")
	}
	target := opt.Dirs[0]
	isNew, err := store.IsNew(target.FS)
	if err != nil {
		return nil, model.Errorf(model.CodeOf(err), op, "%s: %s", target.Name, text(err))
	}
	if !isNew {
		return nil, model.Errorf(model.CodeConflict, op,
			"%s is the directory of a node already; name an empty one, or use `tiercel recover --catalog FILE`, which keeps its volumes", target.Name)
	}
	b, err := load(op, opt.Backup) // before anything is written
	if err != nil {
		return nil, err
	}
	cluster := b.cat.Cluster()
	if cluster == nil {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%s holds no cluster", opt.Backup.Name)
	}
	report := &Report{ClusterID: model.ClusterID(cluster.ClusterId), Generation: cluster.Generation + 1, Checkpoint: b.from, JournalTo: b.from, Backup: true}
	if opt.Generation != 0 {
		if opt.Generation <= cluster.Generation {
			return nil, model.Errorf(model.CodeInvalidArgument, op, "the backup is of generation %d; the restored cluster needs a higher one than that, not %d", cluster.Generation, opt.Generation)
		}
		report.Generation = opt.Generation
	}
	if report.Fork, err = newFork(op, opt.Random); err != nil {
		return nil, err
	}
	dir, err := store.OpenDataDir(target.FS, opt.Random, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	r := &rebuilding{sources: &sources{}, base: b, report: report, now: opt.Now.UnixMilli(), index: b.cat.Applied() + catalog.RecoveryGap}
	if err := r.rebuild(report.Fork, dir.Identity().NodeID); err != nil {
		return nil, err
	}
	report.Dirs = []DirReport{{Name: target.Name, Node: dir.Identity().NodeID, Founder: true}}
	if err := newLog(dir, b, report, opt.Random); err != nil {
		return nil, err
	}
	report.Done = true
	return report, nil
}

// AsWorker makes workers of the directories of stopped nodes whose log is no use: it is
// lost or damaged and their cluster goes on, or that was recovered or restored elsewhere.
// Their logs are set aside, their volumes stay.
func AsWorker(opt Options) (_ *Report, err error) {
	opt.worker = true
	s, err := openSources(opt)
	defer func() { err = errors.Join(err, s.close()) }()
	if err != nil {
		return nil, err
	}
	report := &Report{ClusterID: s.dirs[0].node.ClusterID}
	for _, d := range s.dirs {
		out := DirReport{Name: d.name, Node: d.id, Volumes: len(d.states)}
		if d.node.SupersededBy == 0 {
			report.note("%s has not heard that its cluster was recovered or restored elsewhere. A cluster that goes on as it was takes it in, too, with its volumes: "+
				"there it learns and votes again under its new Raft id, and the old one is replaced", d.name)
		}
		if opt.Apply {
			if out.Aside, err = d.setLogAside(d.node.Generation, d.gaveUp()); err != nil {
				return nil, err
			}
			if err := becomeWorker(d.dir, 0, opt.Random); err != nil {
				return nil, err
			}
		}
		report.Dirs = append(report.Dirs, out)
	}
	report.Done = opt.Apply
	return report, nil
}

// gaveUp says of a node that becomes a worker what is known of its cluster.
func (d *source) gaveUp() string {
	text := fmt.Sprintf("This node of cluster %s, at generation %d, was made a worker by `tiercel recover --worker`, under a new Raft id.", d.node.ClusterID, d.node.Generation)
	if d.node.SupersededBy != 0 {
		text += fmt.Sprintf("\nIt had met generation %d of its cluster, which is there without it.", d.node.SupersededBy)
	}
	return text
}
