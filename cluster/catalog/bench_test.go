package catalog_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"tiercel/cluster/catalog"
	"tiercel/messages"
	"tiercel/store"
)

const benchBatch = 32

// benchPuts is a log of PutFile commands of 1 KiB files, as a gateway sends
// them, from the one numbered first on.
func benchPuts(first, n int) []*messages.Command {
	cmds := make([]*messages.Command, n)
	for at := range cmds {
		i := first + at
		f := file(fmt.Sprintf("/datasets/corpus-%03d/part-%08d.bin", i%1000, i), 1024)
		f.ModifiedUnixMs = 1_760_000_000_000 + int64(i)
		f.ContentType = "application/octet-stream"
		cmds[at] = as(3, uint64(i)+1, uint64(max(i-64, 0)), putFile(&messages.PutFile{File: f, Extents: []*messages.Extent{{
			Volume: 1, Generation: 1, Offset: uint64(i) * 1100, RecordBytes: 1100, BodyBytes: 1024, HeaderCrc32C: 1,
		}}}))
	}
	return cmds
}

func benchCatalog(b *testing.B) *catalog.Catalog {
	c := catalog.New(store.NewIndex())
	for i, cmd := range []*messages.Command{bootstrap(), createVolume(1, "n-1"), openSession("n-gw", 1)} {
		_, err := c.Apply(uint64(i)+1, cmd)
		require.NoError(b, err)
	}
	return c
}

func applyAll(b *testing.B, c *catalog.Catalog, cmds []*messages.Command) {
	index := c.Applied()
	for i, cmd := range cmds {
		if i%benchBatch == 0 {
			c.Begin()
		}
		index++
		res, err := c.Apply(index, cmd)
		if err != nil || res.Code != "" {
			b.Fatal(res, err)
		}
		if i%benchBatch == benchBatch-1 || i == len(cmds)-1 {
			c.End()
		}
	}
}

func BenchmarkApply_PutFile(b *testing.B) {
	c, cmds := benchCatalog(b), benchPuts(0, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	applyAll(b, c, cmds)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

func BenchmarkStat(b *testing.B) {
	c := benchCatalog(b)
	cmds := benchPuts(0, 100_000)
	applyAll(b, c, cmds)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, ok := c.Stat("default", cmds[i%len(cmds)].GetPutFile().File.Path); !ok {
			b.Fatal("gone")
		}
	}
}

// BenchmarkMemoryPerFile reports what the whole state costs for each file.
func BenchmarkMemoryPerFile(b *testing.B) {
	const files = 300_000
	for range b.N {
		var before, after runtime.MemStats
		c := benchCatalog(b)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for done := 0; done < files; done += 10_000 {
			cmds := benchPuts(done, 10_000)
			applyAll(b, c, cmds)
		}
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/files, "B/file")
		runtime.KeepAlive(c)
	}
}

func BenchmarkNew(b *testing.B) {
	ix := store.NewIndex()
	c := catalog.New(ix)
	for i, cmd := range []*messages.Command{bootstrap(), createVolume(1, "n-1"), openSession("n-gw", 1)} {
		_, err := c.Apply(uint64(i)+1, cmd)
		require.NoError(b, err)
	}
	applyAll(b, c, benchPuts(0, 200_000))
	b.ResetTimer()
	for range b.N {
		require.NoError(b, catalog.New(ix).Err())
	}
}
