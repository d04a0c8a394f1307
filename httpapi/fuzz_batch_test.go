package httpapi

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// Whatever a body is, its decoder ends: with items that hold together, or a coded
// error. Nothing leads out of the prefix, and all memory comes back.
func fuzzBatch(f *testing.F, format string) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		var pool memory
		pool.free.Store(1 << 20)
		in := &batchBody{body: &body{from: bytes.NewReader(raw), size: int64(len(raw))}, batch: batchRequest{tenant: "default", prefix: "/p/", format: format},
			memory: share{of: &pool}, answers: share{of: &pool}}
		if len(raw) == 0 {
			in.body.err = io.EOF // as openBody has it
		}
		require.NoError(t, in.open())
		for items := 0; ; items++ {
			require.LessOrEqual(t, items, len(raw)+1, "items out of nothing")
			it, err := in.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				require.Contains(t, []model.Code{model.CodeInvalidArgument, model.CodeOverloaded}, model.CodeOf(err), "%v", err)
				break
			}
			if it.Err != nil {
				require.Contains(t, []model.Code{model.CodeInvalidArgument, model.CodeTooLarge}, model.CodeOf(it.Err), "%v", it.Err)
				continue
			}
			require.NoError(t, model.CheckPath(it.Path))
			require.True(t, strings.HasPrefix(it.Path, "/p/"), it.Path)
			require.True(t, it.Tier == model.TierUnset || it.Tier.Valid())
			n, err := io.Copy(io.Discard, io.LimitReader(it.Body, it.Size))
			require.LessOrEqual(t, n, int64(len(raw)), "content out of nothing")
			if err == nil && n < it.Size {
				require.Equal(t, typeTar, format, "only an archive declares before it delivers")
			}
		}
		require.LessOrEqual(t, in.at(), int64(len(raw)))
		in.memory.close()
		in.answers.close()
		require.Equal(t, int64(1<<20), pool.free.Load())
	})
}

func FuzzBatchTar(f *testing.F) {
	f.Add(tarOf(f, "a", "1", "./b/c", strings.Repeat("x", 600), "../d", ""))
	f.Add(append(tarOf(f, strings.Repeat("long/", 60)+"x", "pax"), 0))
	f.Add([]byte{})
	fuzzBatch(f, typeTar)
}

func FuzzBatchNDJSON(f *testing.F) {
	f.Add([]byte(lineOf("/a", "1") + "\n\r\n" + lineOf("b/../c", "x") + "{}\n{\"path\":\"/d\",\"data_base64\":\"eA==\",\"tier\":2}"))
	f.Add([]byte("[\n\"\n{\"path\":null,\"tier\":null,\"data_base64\":null}\n\xff"))
	fuzzBatch(f, typeNDJSON)
}

func FuzzBatchRecords(f *testing.F) {
	f.Add(recordsOf(f, &messages.BatchRecord{Path: "/a", Data: []byte("1")}, &messages.BatchRecord{Path: "..", Tier: 9}, &messages.BatchRecord{}))
	f.Add([]byte{0, 0, 0xff, 0xff, 0xff, 0x7f})
	fuzzBatch(f, typeRecords)
}

func FuzzBatchPaths(f *testing.F) {
	f.Add([]byte(`{"paths":["/a","/b"]}`))
	f.Add([]byte(`{"paths":[null,{}]}[`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		paths, err := decodePaths(raw)
		if err != nil {
			require.Contains(t, []model.Code{model.CodeInvalidArgument, model.CodeTooLarge}, model.CodeOf(err))
			return
		}
		require.NotEmpty(t, paths)
		for _, p := range paths {
			require.NoError(t, model.CheckPath(p))
		}
	})
}
