package main

import (
	"bytes"
	"encoding/binary"
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
	flag.Parse()

	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *workers}, Timeout: time.Minute}
	run := rand.Uint64() // makes the keys of this run its own
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range *workers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(*vectors); n = next.Add(1) {
				// /vectors/ is tier 2: durable on the primary before the answer.
				url := fmt.Sprintf("%s/api/v1/storage/files/vectors/demo/%08d.f32", *server, n)
				if err := store(client, url, fmt.Sprintf("%x-%d", run, n), vector(uint64(n))); err != nil {
					failed.Add(1)
					log.Print(err)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	fmt.Printf("%d vectors in %v, %.0f/s, %d failed\n", *vectors, elapsed.Round(time.Millisecond), float64(*vectors)/elapsed.Seconds(), failed.Load())
	if failed.Load() > 0 {
		log.Fatal("not all vectors were stored")
	}
}

// store repeats what may be repeated: the key makes the server apply it once.
func store(client *http.Client, url, key string, content []byte) error {
	var last error
	for attempt := range attempts {
		req, err := http.NewRequest(http.MethodPut, url, bytes.NewReader(content))
		if err != nil {
			return err
		}
		req.Header.Set("Idempotency-Key", key)
		resp, err := client.Do(req)
		wait := time.Duration(50<<attempt) * time.Millisecond
		if err == nil {
			answer, readErr := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode < 300 && readErr == nil {
				return nil
			}
			err = fmt.Errorf("PUT %s: %s %s", url, resp.Status, answer)
			if resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusTooManyRequests {
				return err
			}
			if seconds, parseErr := strconv.Atoi(resp.Header.Get("Retry-After")); parseErr == nil {
				wait = time.Duration(seconds) * time.Second
			}
		}
		last = err
		time.Sleep(wait)
	}
	return last
}

func vector(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, 4*dimensions)
	for range dimensions {
		b = binary.LittleEndian.AppendUint32(b, r.Uint32())
	}
	return b
}
