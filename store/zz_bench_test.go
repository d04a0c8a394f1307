package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

func TestZZBench(t *testing.T) {
	mem := NewMemFS(1)
	fsys := mem
	ix := NewIndex()
	n := 1000000
	heap := func() uint64 { runtime.GC(); runtime.GC(); var m runtime.MemStats; runtime.ReadMemStats(&m); return m.HeapAlloc }
	h0 := heap()
	start := time.Now()
	for i := 0; i < n; i += 100 {
		ix.Begin()
		for j := i; j < i+100; j++ {
			ix.Set(fmt.Sprintf("f/default\x00/users/x/%012d", rand.Uint32()), "0123456789012345678901234567890123456789012345678901234567890123456789")
		}
		ix.End()
	}
	fmt.Println("random sets in batches of 100:", n, time.Since(start), "bytes/key", (heap()-h0)/uint64(ix.Len()))
	w, err := CreateSnapshot(fsys, SnapshotMeta{Index: 7})
	if err != nil { t.Fatal(err) }
	start = time.Now()
	walk := ix.Snapshot()
	for p := walk.Next(1<<20); p != nil; p = walk.Next(1<<20) {
		if err := w.WriteChunk(p); err != nil { t.Fatal(err) }
	}
	if err := w.Finish(); err != nil { t.Fatal(err) }
	fmt.Println("snapshot", time.Since(start))
	ix = nil
	walk = nil
	h0 = heap()
	start = time.Now()
	ix2 := NewIndex()
	_, err = LoadSnapshot(fsys, 7, func(p []Pair) error { Load(ix2, p); return nil })
	if err != nil { t.Fatal(err) }
	fmt.Println("load", ix2.Len(), time.Since(start), "bytes/key", (heap()-h0)/uint64(ix2.Len()))
	start = time.Now()
	VerifySnapshot(fsys, 7)
	fmt.Println("verify", time.Since(start))
	runtime.KeepAlive(ix2)

	d, _ := NewDirFS(t.TempDir())
	wal, _, err := OpenWAL(d, WALOptions{})
	if err != nil { t.Fatal(err) }
	data := make([]byte, 200)
	start = time.Now()
	es := make([]LogEntry, 30)
	for b := 0; b < 10000; b++ {
		for i := range es { es[i] = LogEntry{Index: uint64(b*30+i+1), Term: 1, Data: data} }
		if err := wal.Append(&HardState{1, 1, uint64(b)}, es, false); err != nil { t.Fatal(err) }
	}
	fmt.Println("wal 300k entries nosync", time.Since(start))
	wal.Close()
	start = time.Now()
	_, rec, err := OpenWAL(d, WALOptions{})
	fmt.Println("reopen", time.Since(start), rec, err)
	v, _, err := OpenVolumes(d, VolumeOptions{})
	vw, err := v.Create(1, 1, 1, 1)
	if err != nil { t.Fatal(err) }
	body := make([]byte, 4096)
	recs := make([]Record, 30)
	for i := range recs { recs[i] = Record{Tenant: "default", Path: fmt.Sprintf("/users/x/%d", i), Body: body} }
	start = time.Now()
	var last []Placed
	for b := 0; b < 2000; b++ {
		if last, err = vw.AppendBatch(recs, false); err != nil { t.Fatal(err) }
	}
	fmt.Println("volume 60k x 4K nosync", time.Since(start))
	fmt.Println("1K overhead", last[0].RecordBytes-last[0].BodyBytes)
	start = time.Now()
	buf := make([]byte, 0, 4096)
	for i := 0; i < 200000; i++ {
		p := last[i%30]
		if buf, err = v.ReadBody(1, p.Offset, p.RecordBytes, p.HeaderCRC, 0, 4096, buf[:0]); err != nil { t.Fatal(err) }
	}
	fmt.Println("200k reads", time.Since(start))
	fmt.Println("allocs/read", testing.AllocsPerRun(1000, func() {
		p := last[3]
		buf, _ = v.ReadBody(1, p.Offset, p.RecordBytes, p.HeaderCRC, 0, 4096, buf[:0])
	}))
	start = time.Now()
	big := make([]byte, 8<<20)
	pl, err := vw.AppendBatch([]Record{{Tenant: "d", Path: "/x", Body: big}}, true)
	if err != nil { t.Fatal(err) }
	fmt.Println("8M append", time.Since(start))
	start = time.Now()
	for i := 0; i < 50; i++ {
		if big, err = v.ReadBody(1, pl[0].Offset, pl[0].RecordBytes, pl[0].HeaderCRC, 0, 8<<20, big[:0]); err != nil { t.Fatal(err) }
	}
	fmt.Println("8M reads each", time.Since(start)/50)
	if _, err := vw.AppendBatch(recs, true); err != nil { t.Fatal(err) }
	start = time.Now()
	for b := 0; b < 500; b++ {
		if last, err = vw.AppendBatch(recs, true); err != nil { t.Fatal(err) }
	}
	fmt.Println("500 synced batches of 30", time.Since(start))
	start = time.Now()
	v2, st, err := OpenVolumes(d, VolumeOptions{})
	fmt.Println("open", time.Since(start), st, err)
	_ = v2
	c := 0
	start = time.Now()
	fmt.Println(v.Scan(1, func(uint64, Record, Placed) error { c++; return nil }), c, time.Since(start))
}
