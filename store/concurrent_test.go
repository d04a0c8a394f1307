package store

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func TestVolume_ReadsGoOnBesideAppends(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		v := openVolumes(t, fsys)
		w, err := v.Create(1, 1, 1, 1)
		require.NoError(t, err)
		recs := records(100, 5000, 200_000)
		placed := make(chan []Placed, 50)
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				for batch := range placed {
					for i, p := range batch {
						got, err := readBack(v, 1, p, 0, p.BodyBytes)
						assert.NoError(t, err)
						equalBytes(t, recs[i].Body, got, recs[i].Path)
					}
					assert.Len(t, v.States(), 1)
				}
			})
		}
		for i := range 50 {
			batch, err := w.AppendBatch(recs, i%2 == 0)
			require.NoError(t, err)
			placed <- batch
		}
		watermark, err := v.Fence(1)
		require.NoError(t, err)
		assert.Equal(t, w.End(), watermark)
		close(placed)
		readers.Wait()
		require.NoError(t, v.Close())
	})
}

func TestVolume_ReadsGoOnWhileItsCopyIsReplacedAndDropped(t *testing.T) {
	s := newSource(t)
	onEachBackend(t, func(t *testing.T, fsys FS) {
		v := openVolumes(t, fsys)
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						return
					default:
					}
					p := s.placed[i%len(s.placed)]
					if got, err := readBack(v, 5, p, 0, p.BodyBytes); err != nil {
						assert.Equal(t, model.CodeUnavailable, model.CodeOf(err), "%v", err)
					} else {
						equalBytes(t, s.recs[i%len(s.recs)].Body, got, "a record")
					}
				}
			})
		}
		for gen := uint64(10); gen < 24; gen += 2 {
			require.NoError(t, v.Receive(1, 5, 2, gen))
			require.NoError(t, s.fill(v))
			_, err := v.Settle(5, s.end(), s.digest, false)
			require.NoError(t, err)
			r, err := v.Replace(1, 5, 2, gen+1)
			require.NoError(t, err)
			require.NoError(t, r.Fill(DataStart, s.bytes[DataStart:]))
			_, err = r.Finish(s.digest, "a test")
			require.NoError(t, err)
			require.NoError(t, v.Drop(5, gen+1))
		}
		close(done)
		readers.Wait()
		assert.Empty(t, v.TakeSuspects())
		require.NoError(t, v.Close())
	})
}

func TestWAL_ReadsGoOnBesideAppendsAndTruncation(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		w, _ := openWAL(t, fsys)
		mustLog(t, w, nil, logged(1, 5, 1))
		var readers sync.WaitGroup
		done := make(chan struct{})
		for range 2 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					first, last := w.First(), w.Last()
					entries, err := w.Entries(max(first, last-min(last, 40)), last+1, 0)
					if err != nil {
						assert.ErrorIs(t, err, ErrLogCompacted) // truncated since
						continue
					}
					for i := 1; i < len(entries); i++ {
						assert.Equal(t, entries[i-1].Index+1, entries[i].Index)
					}
				}
			})
		}
		for from := uint64(6); from <= 600; from += 5 {
			mustLog(t, w, nil, logged(from, from+4, 1))
			if from%100 == 1 {
				require.NoError(t, w.TruncateBefore(from-50))
			}
		}
		close(done)
		readers.Wait()
		require.NoError(t, w.Close())
	})
}
