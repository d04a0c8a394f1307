package main

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tiercel/internal/latency"
)

// loop is a closed loop: each worker sends its next request when the last one
// was answered, so the offered load is the number of connections.
type loop struct {
	name        string
	addr        string
	connections int
	warmUp      time.Duration // not measured
	duration    time.Duration // zero: until count
	count       uint64        // operations, warm-up included; zero: until duration
	first       uint64        // number of the first operation
	timeout     time.Duration // of one request
	op          operation
	server      *process // whose CPU and memory are read; nil: unknown
	sync        string   // how writes are made durable, for the report
	onMeasuring func()   // called once when warm-up ends; nil: nothing
}

// worker is one connection and what it has counted.
type worker struct {
	conn     *conn
	random   *rand.Rand
	stored   []uint64
	buf      []byte
	filled   *fileSet
	latency  latency.Histogram
	ops      uint64
	moved    int64
	failures map[string]uint64
}

// content is the worker's own copy of the set's block, to be stamped.
func (w *worker) content(s *fileSet) []byte {
	if w.filled != s {
		w.buf, w.filled = append(w.buf[:0], s.block...), s
	}
	return w.buf
}

// measurement is what one run of a loop found.
type measurement struct {
	Name        string            `json:"name"`
	Sync        string            `json:"sync"`
	Connections int               `json:"connections"`
	Seconds     float64           `json:"seconds"`
	Operations  uint64            `json:"operations"`
	Moved       int64             `json:"moved_bytes"`
	Failures    map[string]uint64 `json:"failures,omitempty"`
	P50         time.Duration     `json:"p50_ns"`
	P99         time.Duration     `json:"p99_ns"`
	P999        time.Duration     `json:"p999_ns"`
	Max         time.Duration     `json:"max_ns"`
	ClientCPU   time.Duration     `json:"client_cpu_ns"`
	ServerCPU   time.Duration     `json:"server_cpu_ns"` // zero: unknown
	ServerPeak  int64             `json:"server_peak_rss_bytes"`
	stored      []uint64          // numbers of acknowledged files, warm-up included
}

// phases of a loop, read by every worker before each operation.
const (
	warming int32 = iota
	measuring
	finished
)

// run runs the loop to its end.
func (l loop) run() (measurement, error) {
	var phase atomic.Int32
	var workers []*worker
	done := make(chan struct{})
	if l.warmUp > 0 {
		workers = l.start(&phase, done)
		waitFor(l.warmUp, done)
	}
	before, err := l.usage(true)
	if err != nil {
		if phase.Store(finished); workers != nil {
			<-done
		}
		return measurement{}, err
	}
	if l.onMeasuring != nil {
		l.onMeasuring()
	}
	begin := time.Now()
	phase.Store(measuring)
	if workers == nil {
		workers = l.start(&phase, done)
	}
	if l.duration > 0 {
		waitFor(l.duration, done)
		phase.Store(finished)
	}
	<-done
	elapsed := time.Since(begin)
	after, err := l.usage(false)
	if err != nil {
		return measurement{}, err
	}
	m := l.collect(workers)
	m.Seconds = elapsed.Seconds()
	m.ClientCPU, m.ServerCPU, m.ServerPeak = after.client-before.client, after.server-before.server, after.peak
	return m, nil
}

// start starts the workers; done is closed when all have ended.
func (l loop) start(phase *atomic.Int32, done chan<- struct{}) []*worker {
	var next atomic.Uint64
	var group sync.WaitGroup
	workers := make([]*worker, l.connections)
	for i := range workers {
		w := &worker{
			conn: newConn(l.addr, l.timeout), random: rand.New(rand.NewPCG(uint64(i), l.first)),
			failures: make(map[string]uint64),
		}
		workers[i] = w
		group.Go(func() { l.work(w, phase, &next) })
	}
	go func() { group.Wait(); close(done) }()
	return workers
}

// waitFor waits for a while or until all is done.
func waitFor(d time.Duration, done <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
	}
}

func (l loop) work(w *worker, phase *atomic.Int32, next *atomic.Uint64) {
	defer w.conn.close()
	begin := time.Now()
	for {
		before := phase.Load()
		n := next.Add(1) - 1
		if before == finished || l.count > 0 && n >= l.count {
			return
		}
		moved, code := l.op(w, l.first+n)
		end := time.Now()
		took := end.Sub(begin)
		begin = end
		if code != "" {
			if w.failures[code]++; code == codeNoAnswer {
				begin = backOff() // a server that is away must not be drowned in connections
			}
			continue
		}
		if before == measuring {
			w.latency.Record(took)
			w.ops++
			w.moved += moved
		}
	}
}

// backOff waits a little after a failure and returns the time.
func backOff() time.Time {
	time.Sleep(10 * time.Millisecond)
	return time.Now()
}

// collect sums up what the workers counted.
func (l loop) collect(workers []*worker) measurement {
	m := measurement{Name: l.name, Sync: l.sync, Connections: l.connections, Failures: make(map[string]uint64)}
	var all latency.Histogram
	for _, w := range workers {
		all.Merge(&w.latency)
		m.Operations += w.ops
		m.Moved += w.moved
		m.stored = append(m.stored, w.stored...)
		for code, n := range w.failures {
			m.Failures[code] += n
		}
	}
	m.P50, m.P99, m.P999, m.Max = all.Quantile(0.5), all.Quantile(0.99), all.Quantile(0.999), all.Max()
	return m
}

// used is CPU time since a process began and peak memory.
type used struct {
	client, server time.Duration
	peak           int64
}

// usage reads what was used so far; fresh begins a new peak.
func (l loop) usage(fresh bool) (used, error) {
	u := used{client: ownCPU()}
	if l.server == nil {
		return u, nil
	}
	if fresh {
		l.server.resetPeak()
	}
	var err error
	if u.server, err = l.server.cpu(); err != nil {
		return u, err
	}
	u.peak, err = l.server.memory("VmHWM")
	return u, err
}
