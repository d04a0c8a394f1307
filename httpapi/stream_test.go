package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func countReads(sum *uint64) func(*messages.Extent, uint64, uint64) error {
	return func(_ *messages.Extent, from, to uint64) error {
		*sum += to - from
		return nil
	}
}

func TestStream_ReadsAlignedPiecesOfAtMostOneMiB(t *testing.T) {
	w := inMemory(t, Config{})
	w.put("/big", pattern(9<<20+5))
	var pieces [][2]uint64
	w.gw.onRead = func(e *messages.Extent, from, to uint64) error {
		pieces = append(pieces, [2]uint64{e.Offset + from, e.Offset + to})
		return nil
	}
	w.get("/big", "Range: bytes=1000-")
	require.Len(t, pieces, 10)
	assert.Equal(t, [2]uint64{1000, 1 << 20}, pieces[0])
	for _, p := range pieces[1:] {
		assert.Zero(t, p[0]%(1<<20))
		assert.LessOrEqual(t, p[1]-p[0], uint64(1<<20))
	}
}

func TestStream_ThatFailsAfterTheHeaderIsCutAndNeverLooksWhole(t *testing.T) {
	w := overTCP(t, Config{})
	w.put("/big", pattern(5<<20))
	w.gw.onRead = func(_ *messages.Extent, from, _ uint64) error {
		if from >= 3<<20 {
			return model.Errorf(model.CodeCorrupt, "read", "a block does not match its checksum")
		}
		return nil
	}
	for _, headers := range [][]string{nil, {"Range: bytes=5-"}, {"Range: bytes=0-99999,3145728-3145800"}} {
		r := w.get("/big", headers...)
		assert.ErrorIs(t, r.err, io.ErrUnexpectedEOF)
		assert.Less(t, int64(len(r.body)), r.length)
	}
	assert.Eventually(t, func() bool {
		return valueOf(w.server.met.cutResponses) == 3 && w.server.inFlight.Load() == 0 && w.server.streams.Load() == 0
	}, longEnough, time.Millisecond)
}

func TestStream_ThatFailsBeforeTheHeaderIsAnError(t *testing.T) {
	w := inMemory(t, Config{})
	for _, size := range []int{1, smallFileBytes, smallFileBytes + 1, 5 << 20} {
		w.put("/f", pattern(size))
		w.gw.onRead = func(*messages.Extent, uint64, uint64) error {
			return model.Errorf(model.CodeCorrupt, "read", "a block does not match its checksum")
		}
		r := w.get("/f")
		wantError(t, r, 500, "corrupt")
		assert.Empty(t, r.header.Get("ETag"))
		w.gw.onRead = nil
		assert.Len(t, w.get("/f").body, size)
	}
	assert.Eventually(t, func() bool { return w.server.streams.Load() == 0 && w.server.inFlight.Load() == 0 }, longEnough, time.Millisecond)
}

func TestGet_FollowsAVersionWhoseExtentsWereMoved(t *testing.T) {
	w := inMemory(t, Config{})
	content := pattern(3 << 20)
	w.put("/f", content)
	f := w.gw.files["default\x00/f"]
	moved := false
	w.gw.onRead = func(e *messages.Extent, from, _ uint64) error {
		if from >= 1<<20 && !moved { // compaction moves the extents in mid-stream
			moved = true
			old := f.extents[0]
			f.extents = []*messages.Extent{{Volume: 999, BodyBytes: old.BodyBytes}}
			f.row.Extents = f.extents
			w.gw.contents[999] = w.gw.contents[old.Volume]
			delete(w.gw.contents, old.Volume)
		}
		return nil
	}
	r := w.get("/f")
	require.NoError(t, r.err)
	assert.True(t, moved)
	assert.True(t, bytes.Equal(content, r.body))
}

func TestGet_StartsOverWhenTheFileIsReplacedBeforeItsFirstByte(t *testing.T) {
	for _, size := range []int{10, 1 << 20, 3 << 20} {
		w := inMemory(t, Config{})
		w.gw.extentBytes = 1 << 18 // the larger ones have manifests
		w.put("/f", pattern(size))
		old := w.gw.files["default\x00/f"].row.Version
		stats := 0
		w.gw.onStat = func(string) error {
			if stats++; stats == 2 {
				_, err := w.gw.store(&model.PutRequest{Tenant: "default", Path: "/f"}, []byte("new"))
				return err
			}
			return nil
		}
		w.gw.onRead = func(e *messages.Extent, _, _ uint64) error {
			if e.Volume == 100+old {
				return model.Errorf(model.CodeNotFound, "read", "the volume is dropped")
			}
			return nil
		}
		assert.Equal(t, "new", string(w.get("/f").body), size)
	}
}

func TestGet_OfARowWhoseExtentsDoNotAddUpIsCorrupt(t *testing.T) {
	w := inMemory(t, Config{})
	w.put("/f", pattern(100))
	w.gw.files["default\x00/f"].row.SizeBytes = 101
	wantError(t, w.get("/f"), 500, "corrupt")
	w.gw.files["default\x00/f"].row.Extents = nil
	wantError(t, w.get("/f"), 500, "corrupt")
}

func TestStream_TakesSmallPiecesWhenManyAreUnderWay(t *testing.T) {
	w := inMemory(t, Config{})
	content := pattern(3 << 20)
	w.put("/f", content)
	w.server.streams.Store(maxLargePieces)
	var largest uint64
	w.gw.onRead = func(_ *messages.Extent, from, to uint64) error {
		largest = max(largest, to-from)
		return nil
	}
	assert.True(t, bytes.Equal(content, w.get("/f").body))
	assert.Equal(t, uint64(crowdedPieceBytes), largest)
	assert.Eventually(t, func() bool { return w.server.streams.Load() == maxLargePieces }, longEnough, time.Millisecond)
}

func TestShutdown_LetsRequestsFinishAndClosesIdleConnections(t *testing.T) {
	w := overTCP(t, Config{})
	w.put("/f", []byte("hello")) // leaves an idle connection
	silent, err := w.dial()
	require.NoError(t, err)
	defer silent.Close()
	entered, release := make(chan struct{}), make(chan struct{})
	w.gw.onStat = func(string) error { close(entered); <-release; return nil }
	answered := make(chan reply, 1)
	go func() { answered <- w.get("/f") }()
	<-entered
	down := make(chan error, 1)
	go func() { down <- w.server.Shutdown(context.Background()) }()
	select {
	case err := <-down:
		t.Fatalf("shutdown did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	assert.Equal(t, "hello", string((<-answered).body))
	select {
	case err := <-down:
		assert.NoError(t, err)
	case <-time.After(longEnough):
		t.Fatal("shutdown does not end")
	}
	_, err = w.dial()
	assert.Error(t, err)
}

func TestShutdown_CutsOffWhatDoesNotEndInTime(t *testing.T) {
	w := overTCP(t, Config{})
	ended := make(chan error, 1)
	entered := make(chan struct{})
	w.gw.onPut = func(ctx context.Context, _ *model.PutRequest) (*messages.PutReply, error) {
		close(entered)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	go func() {
		resp, err := w.client.Do(mustRequest(t, "PUT", fileURL+"/a", "x"))
		if err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, w.server.Shutdown(ctx), context.DeadlineExceeded)
	assert.ErrorIs(t, <-ended, context.Canceled)
}

func mustRequest(t *testing.T, method, url, body string) *http.Request {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)
	return req
}

func TestLog_SaysWhyAnInternalErrorHappened(t *testing.T) {
	var log bytes.Buffer
	var errors atomic.Int64
	w := inMemory(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	w.gw.onStat = func(string) error { errors.Add(1); return io.ErrClosedPipe }
	r := w.get("/a", "X-Request-Id: find-me")
	wantError(t, r, 500, "internal")
	assert.Contains(t, log.String(), "find-me")
	assert.Contains(t, log.String(), "closed pipe")
}
