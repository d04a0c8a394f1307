package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tiercel/cluster/model"
	"tiercel/httpapi"
)

// Filter says which lines are wanted; a field that is empty says nothing.
type Filter struct {
	Since   time.Time
	Action  string // is in Asked(line), in whatever case
	Outcome string
}

// wants reports whether a line is.
func (f *Filter) wants(a *httpapi.Action) bool {
	newest := a.At
	if a.Until.After(newest) {
		newest = a.Until
	}
	return !newest.Before(f.Since) && (f.Outcome == "" || f.Outcome == a.Outcome) &&
		strings.Contains(strings.ToLower(Asked(a)), strings.ToLower(f.Action))
}

// basePath begins every route of the API, and is of no interest.
const basePath = "/api/v1/storage"

// Asked says in one line what was to be done: "POST /cluster/scrub". Of a refusal that is
// the route, of a node's own action its name and what it is about.
func Asked(a *httpapi.Action) string {
	what := strings.TrimPrefix(a.Route, basePath)
	switch {
	case a.Method == "" && a.Subject != "":
		return what + " " + a.Subject
	case a.Method == "":
		return what
	case a.Subject != "":
		what = strings.TrimPrefix(a.Subject, basePath)
	}
	return a.Method + " " + what
}

// Report is what Survey found.
type Report struct {
	Lines      int64 // that are wanted
	Shown      int64 // of those, the newest
	Unreadable int64 // lines that are none of ours
	Torn       int64 // files whose last line is not whole: a crash, or it is being written
	Nodes      int   // in the lines that are wanted: none, one, or more than one (2)
}

// Reader reads audit logs, of as many nodes as there are, in the order of time. Whatever
// they hold, it keeps no more of them than a line for each.
type Reader struct {
	streams []*stream
	dirs    []fs.FileInfo // that were opened, each once
}

// Dirs is how many directories are read. One that was named twice is one.
func (r *Reader) Dirs() int { return len(r.dirs) }

// OpenReader opens the logs of data directories, and single files. Who writes to them
// need not be stopped: what is written later is not read.
func OpenReader(dataDirs, files []string) (r *Reader, err error) {
	r = &Reader{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	for _, dir := range dataDirs {
		if err := r.addDir(dir); err != nil {
			return r, err
		}
	}
	for _, path := range files {
		s := &stream{}
		r.streams = append(r.streams, s)
		if err := s.add(path); err != nil {
			return r, err
		}
	}
	return r, nil
}

// addDir opens both series of a data directory, or of a copy of its audit directory.
func (r *Reader) addDir(dir string) error {
	within := filepath.Join(dir, dirName)
	if _, err := os.Stat(within); errors.Is(err, fs.ErrNotExist) {
		within = dir
	}
	if info, err := os.Stat(within); err == nil {
		if slices.ContainsFunc(r.dirs, func(o fs.FileInfo) bool { return os.SameFile(o, info) }) {
			return nil // its lines would count twice
		}
		r.dirs = append(r.dirs, info)
	}
	found := false
	for _, one := range []struct {
		name string
		keep int
	}{{fileName, Keep}, {refusedName, KeepRefused}} {
		s := &stream{}
		r.streams = append(r.streams, s)
		// The newest first: a file that becomes the next older one meanwhile is then met
		// twice, never missed.
		for n := 0; n <= one.keep; n++ {
			err := s.add(filepath.Join(within, numbered(one.name, n)))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			found = true
		}
	}
	if !found {
		return model.Errorf(model.CodeNotFound, "read the audit log",
			"there is none in %s: name the data directory of a node (--data-dir), a copy of its audit directory, or a file", dir)
	}
	return nil
}

// Survey reads everything once, and says how many lines f wants and which of them are the
// newest; most <= 0: all.
func (r *Reader) Survey(f Filter, most int64) (Report, error) {
	var report Report
	node := ""
	err := r.each(func(a *httpapi.Action) error {
		if !f.wants(a) {
			return nil
		}
		report.Lines++
		switch {
		case a.Node == "":
		case report.Nodes == 0:
			node, report.Nodes = a.Node, 1
		case a.Node != node:
			report.Nodes = 2
		}
		return nil
	})
	for _, s := range r.streams {
		report.Unreadable += s.unreadable
		report.Torn += s.torn
	}
	report.Shown = report.Lines
	if most > 0 {
		report.Shown = min(report.Lines, most)
	}
	return report, err
}

// Show reads everything again and calls show for the lines of a Survey that are shown, the
// oldest of them first.
func (r *Reader) Show(f Filter, of Report, show func(*httpapi.Action) error) error {
	skip := of.Lines - of.Shown
	return r.each(func(a *httpapi.Action) error {
		if !f.wants(a) {
			return nil
		}
		if skip > 0 {
			skip--
			return nil
		}
		return show(a)
	})
}

// each calls visit for every line in the order of time.
func (r *Reader) each(visit func(*httpapi.Action) error) error {
	for _, s := range r.streams {
		if err := s.rewind(); err != nil {
			return err
		}
	}
	for {
		var oldest *stream
		for _, s := range r.streams {
			if s.more && (oldest == nil || s.line.At.Before(oldest.line.At)) {
				oldest = s
			}
		}
		if oldest == nil {
			return nil
		}
		if err := visit(&oldest.line); err != nil {
			return err
		}
		if err := oldest.next(); err != nil {
			return err
		}
	}
}

// Close closes the files.
func (r *Reader) Close() error {
	var errs []error
	for _, s := range r.streams {
		for _, f := range s.files {
			errs = append(errs, f.file.Close())
		}
	}
	return errors.Join(errs...)
}
