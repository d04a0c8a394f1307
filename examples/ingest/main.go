package main

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dimensions = 1024 // float32: 4 KiB a vector
	attempts   = 6
)

func main() {
	server := flag.String("server", "http://127.0.0.1:8880", "address of a node")
	vectors := flag.Int("n", 20_000, "vectors to store")
	workers := flag.Int("workers", 64, "connections")
	batch := flag.Int("batch", 1, "vectors in one request; above 1 they go by POST /batch")
	flag.Parse()

	in := &ingest{
		server: *server + "/api/v1/storage", run: rand.Uint64(),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *workers}, Timeout: time.Minute},
	}
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	step := int64(max(1, *batch))
	for range *workers {
		wg.Go(func() {
			for first := next.Add(step) - step; first < int64(*vectors); first = next.Add(step) - step {
				if err := in.some(first, min(first+step, int64(*vectors))); err != nil {
					failed.Add(1)
					log.Print(err)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	fmt.Printf("%d vectors in %v, %.0f/s, %d failed requests\n", *vectors, elapsed.Round(time.Millisecond), float64(*vectors)/elapsed.Seconds(), failed.Load())
	if failed.Load() > 0 {
		log.Fatal("not all vectors were stored")
	}
}

// ingest stores vectors. /vectors/ is tier 2: durable on the primary before the answer.
type ingest struct {
	client *http.Client
	server string
	run    uint64 // makes the keys of this run its own
}

const folder = "/vectors/demo/"

func name(n int64) string { return fmt.Sprintf("%08d.f32", n) }

// some stores the vectors [first, end).
func (in *ingest) some(first, end int64) error {
	if end-first == 1 {
		// The key makes the server apply it once, however often it is repeated.
		_, err := in.send(http.MethodPut, "/files"+folder+name(first), http.Header{"Idempotency-Key": {fmt.Sprintf("%x-%d", in.run, first)}}, vector(first))
		return err
	}
	left := make([]int64, 0, end-first)
	for n := first; n < end; n++ {
		left = append(left, n)
	}
	for attempt := range attempts {
		refused, err := in.batch(left)
		if err != nil || len(refused) == 0 {
			return err
		}
		time.Sleep(time.Duration(50<<attempt) * time.Millisecond)
		left = refused // a vector has a path of its own: storing it again is harmless
	}
	return fmt.Errorf("%d vectors of a batch, the first %s, were refused %d times", len(left), name(left[0]), attempts)
}

// batch stores vectors with one request, and returns those that another try may store.
func (in *ingest) batch(vectors []int64) (refused []int64, err error) {
	var body bytes.Buffer
	archive := tar.NewWriter(&body)
	for _, n := range vectors {
		content := vector(n)
		if err := archive.WriteHeader(&tar.Header{Name: name(n), Size: int64(len(content)), Mode: 0o644}); err != nil {
			return nil, err
		}
		if _, err := archive.Write(content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	text, err := in.send(http.MethodPost, "/batch?prefix="+folder, http.Header{"Content-Type": {"application/x-tar"}}, body.Bytes())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Items []struct {
			Status int
			Error  json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Items) != len(vectors) {
		return nil, fmt.Errorf("the answer to a batch of %d has %d items: %w", len(vectors), len(answer.Items), err)
	}
	for i, item := range answer.Items {
		switch {
		case mayRepeat(item.Status):
			refused = append(refused, vectors[i])
		case item.Status >= 300:
			return nil, fmt.Errorf("%s: %d %s", name(vectors[i]), item.Status, item.Error)
		}
	}
	return refused, nil
}

func mayRepeat(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
}

// send repeats a request as long as that may help, and returns the answer's body.
func (in *ingest) send(method, path string, header http.Header, content []byte) ([]byte, error) {
	var last error
	for attempt := range attempts {
		req, err := http.NewRequest(method, in.server+path, bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		req.Header = header
		resp, err := in.client.Do(req)
		wait := time.Duration(50<<attempt) * time.Millisecond
		if err == nil {
			answer, readErr := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode < 300 && readErr == nil {
				return answer, nil
			}
			err = fmt.Errorf("%s %s: %s %s", method, path, resp.Status, answer)
			if !mayRepeat(resp.StatusCode) {
				return nil, err
			}
			if seconds, parseErr := strconv.Atoi(resp.Header.Get("Retry-After")); parseErr == nil {
				wait = time.Duration(seconds) * time.Second
			}
		}
		last = err
		time.Sleep(wait)
	}
	return nil, last
}

func vector(n int64) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, 0, 4*dimensions)
	for range dimensions {
		b = binary.LittleEndian.AppendUint32(b, r.Uint32())
	}
	return b
}
