package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"
)

// batchOptions is what the comparison of batches with single PUTs can be told.
type batchOptions struct {
	binary   string
	dataDir  string
	items    int // a request
	requests int
	size     int
	tier     int
	strace   bool
}

func batchCommand(w io.Writer, arguments []string) error {
	o := batchOptions{}
	size := byteSize(4 << 10)
	flags := newFlags("batch")
	flags.StringVar(&o.binary, "binary", "bin/tiercel", "the server `program`")
	flags.StringVar(&o.dataDir, "data-dir", "", "where to put the temporary data `directory`")
	flags.IntVar(&o.items, "items", 1000, "files in one request")
	flags.IntVar(&o.requests, "requests", 20, "batches, one after the other")
	flags.Var(&size, "size", "of each file")
	flags.IntVar(&o.tier, "tier", 1, "1, 2 or 3")
	flags.BoolVar(&o.strace, "strace", false, "count fdatasync and fsync of the server with strace, which slows it down")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	o.size = int(size)
	if err := positive(map[string]int64{"items": int64(o.items), "requests": int64(o.requests), "tier": int64(o.tier)}); err != nil {
		return err
	}
	if _, err := io.WriteString(w, machine()+"\n"); err != nil {
		return err
	}
	return runBatch(w, o)
}

// runBatch stores the same number of files three times: by batches on one connection,
// and by PUTs on one and on 64.
func runBatch(w io.Writer, o batchOptions) error {
	return withServer(o.binary, o.dataDir, func(s *server, dir string) error { return compareBatch(w, s, dir, o) })
}

// compareBatch is runBatch on a running server; dir is for what is traced.
func compareBatch(w io.Writer, s *server, dir string, o batchOptions) error {
	count := func() int { return 0 }
	if o.strace {
		trace, stop, err := traceSyncs(s.pid, filepath.Join(dir, "trace"))
		if err != nil {
			return err
		}
		defer stop()
		count = trace
	}
	var all []measurement
	var syncs []int
	files := uint64(o.items * o.requests)
	for i, way := range []struct {
		name        string
		connections int
		count       uint64
		op          func(*fileSet) operation
	}{
		{fmt.Sprintf("batch of %d × %s", o.items, sizeName(int64(o.size))), 1, uint64(o.requests), func(set *fileSet) operation { return putBatch(set, o.items) }},
		{"put " + sizeName(int64(o.size)), 1, files, put},
		{"put " + sizeName(int64(o.size)), 64, files, put},
	} {
		set := newFileSet(fmt.Sprintf("/bench/batch%d/", i), o.size, o.tier, 64)
		before := count()
		m, err := loop{name: way.name, sync: syncMode(o.tier), addr: s.http, connections: way.connections, count: way.count,
			timeout: time.Minute, op: way.op(set), server: &s.process}.run()
		if err != nil {
			return err
		}
		all, syncs = append(all, m), append(syncs, count()-before)
	}
	if err := table(w, all); err != nil {
		return err
	}
	fmt.Fprintf(w, "\none operation of the first line is %d files\n", o.items)
	for i, m := range all {
		fmt.Fprintf(w, "%s, %d connections: %.0f files/s", m.Name, m.Connections, float64(files)/m.Seconds)
		if o.strace {
			fmt.Fprintf(w, ", %d syncs (%.1f per %d files)", syncs[i], float64(syncs[i])/float64(o.requests), o.items)
		}
		fmt.Fprintln(w)
	}
	return nil
}

// putBatch stores the files from n·items on in one request, as a tar archive.
func putBatch(s *fileSet, items int) operation {
	header := s.header() + "Content-Type: application/x-tar\r\n"
	var archive bytes.Buffer
	return func(w *worker, n uint64) (int64, string) {
		archive.Reset()
		if err := s.archive(&archive, n*uint64(items), items); err != nil {
			return 0, codeNoAnswer
		}
		a, err := w.conn.do(request{method: "POST", path: "/api/v1/storage/batch", header: header, body: archive.Bytes()})
		if code := failure(a, err, 200); code != "" {
			return 0, code
		}
		if !bytes.HasSuffix(a.body, []byte(`"stored":`+strconv.Itoa(items)+`,"failed":0}`+"\n")) {
			return 0, "items_failed"
		}
		return int64(s.size) * int64(items), ""
	}
}
