package simtest

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"tiercel/actors"
	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	rules "tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Params of one run. The zero Faults is a run without any.
type Params struct {
	Seed       uint64
	Clients    int
	Operations int // of each client
	Horizon    time.Duration
	Faults     []fault
	FaultCount int
	Log        *slog.Logger
	Trace      io.Writer // every event, for a replay; nil: none
}

// Outcome of one run.
type Outcome struct {
	Hash       uint64
	Events     int
	History    []operation
	Fired      map[string]int
	Violations []string
}

// story is one run: a node, its clients and what they saw.
type story struct {
	params  Params
	world   *sim.World
	node    *sim.Node
	clients []*sim.Node
	data    *actors.Data
	catalog *rules.Catalog
	ready   bool
	random  *rand.Rand // for the disk's identity

	values   values
	history  []operation
	fired    map[string]int
	bad      []string
	working  int
	calm     bool // no more faults
	powerCut bool // unsynced data may be gone: tier 3 may have lost some
}

const nodeName = "n-1"

// Run plays one seed to its end and checks it.
func Run(p Params) Outcome {
	defer sim.DeterministicRand(p.Seed)()
	s := newStory(p)
	s.node = s.world.AddNode(nodeName, store.NewMemFS(p.Seed), 1, s.boot)
	s.keepUp()
	s.working = p.Clients
	for i := range p.Clients {
		s.addClient(i)
	}
	s.schedule(rand.New(rand.NewPCG(p.Seed, 0x6661756c)), p.Horizon)
	s.world.Run(p.Horizon)
	s.settle()
	return Outcome{Hash: s.world.TraceHash(), Events: s.world.Events(), History: s.history, Fired: s.fired, Violations: s.bad}
}

// newStory makes an empty world.
func newStory(p Params) *story {
	s := &story{
		params: p, fired: make(map[string]int), values: values{byContent: make(map[contentKey]string)},
		random: rand.New(rand.NewPCG(p.Seed, 0x6e6f6465)),
	}
	var log slog.Handler = slog.DiscardHandler
	if p.Log != nil {
		log = p.Log.Handler()
	}
	s.world = sim.NewWorld(p.Seed, sim.Options{Log: slog.New(panics{log, s})})
	if p.Trace != nil {
		s.world.TraceTo(p.Trace)
	}
	return s
}

// boot opens what the disk kept and starts the one tree.
func (s *story) boot(rt runtime.Runtime) error {
	s.ready, s.catalog, s.data = false, nil, nil
	data, err := actors.OpenData(rt.FS(), randomReader{s.random}, false)
	if err != nil {
		return err
	}
	s.data = data
	data.LogSegmentBytes = 2 << 10 // so that truncation has something to drop
	opt := actors.DefaultOptions()
	opt.SnapshotEveryBytes = 4 << 10 // many snapshots and truncations in a short run
	opt.SnapshotChunkBytes = 200     // and writes between any two pieces of one
	opt.MaxVolumeBytes = 64 << 10
	opt.ReserveBytes = 0
	opt.HashEvery = 10
	opt.Announced = func(ready bool, _ string) { s.ready = ready }
	opt.CatalogLoaded = func(c *rules.Catalog) { s.catalog = c }
	opt.UploadIdle = 5 * time.Second
	_, err = actors.Start(rt, data, opt)
	return err
}

type randomReader struct{ *rand.Rand }

func (r randomReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return len(p), nil
}

// keepUp is the operator's service manager: it starts again what has ended.
func (s *story) keepUp() {
	s.world.At(50*time.Millisecond, func() {
		if s.node.Up() {
			s.keepUp()
			return
		}
		s.noteHalt()
		s.world.At(s.duration(time.Millisecond, 500*time.Millisecond), func() {
			if !s.node.Up() {
				s.node.Restart()
			}
			s.keepUp()
		})
	})
}

// noteHalt looks at why the node ended itself: damage is a violation, for nothing
// here damages what was synced.
func (s *story) noteHalt() {
	if err := s.node.Halted(); err != nil {
		s.count("halted by itself")
		if model.CodeOf(err) == model.CodeCorrupt {
			s.violate("the node found its own disk damaged: %v", err)
		}
	}
}

func (s *story) addClient(i int) {
	n := s.world.Client(fmt.Sprintf("client-%d", i))
	s.clients = append(s.clients, n)
	rt := n.Runtime()
	_, err := rt.SpawnRoot("client", func() runtime.Actor {
		return &client{
			story: s, number: i, random: rand.New(rand.NewPCG(s.params.Seed, uint64(i)+1)),
			gateway: rt.Peer(nodeName, actors.GatewayPath), left: s.params.Operations, seen: make(map[string]uint64),
		}
	})
	if err != nil {
		s.violate("the client did not start: %v", err)
	}
}

func (s *story) clientDone() { s.working-- }

func (s *story) record(o operation) { s.history = append(s.history, o) }

func (s *story) count(what string) { s.fired[what]++ }

func (s *story) violate(format string, args ...any) {
	if len(s.bad) < 10 {
		s.bad = append(s.bad, fmt.Sprintf("at %v: ", s.world.Elapsed())+fmt.Sprintf(format, args...))
	}
}

// settle ends the faults and checks what must hold then (invariants 1, 11, 12):
// the node serves again, everybody gets an answer, and after one more power loss
// everything acknowledged is there.
func (s *story) settle() {
	s.calm = true
	s.world.SetChaos(sim.Chaos{})
	s.world.HealAll()
	s.node.FS().CrashAfter(0, nil)
	s.node.FS().SetCapacity(0)
	done := func() bool { return s.working == 0 && s.ready && s.node.Up() }
	if !s.world.RunUntil(done, 3*time.Minute) {
		s.violate("no progress: %d clients still wait, ready %v, up %v (%v)", s.working, s.ready, s.node.Up(), s.node.Halted())
		return
	}
	s.checkState()
	s.node.Crash(true)
	s.powerCut = true
	if !s.world.RunUntil(func() bool { return s.ready && s.node.Up() }, time.Minute) {
		s.violate("not ready after the last restart: %v", s.node.Halted())
		return
	}
	s.checkState()
	s.readAll()
	s.bad = append(s.bad, checkLinear(s.history)...)
}

// readAll lets a fresh client read every path once.
func (s *story) readAll() {
	rt := s.world.Client("reader").Runtime()
	s.working = 1
	_, err := rt.SpawnRoot("reader", func() runtime.Actor {
		return &reader{client: client{
			story: s, number: s.params.Clients, gateway: rt.Peer(nodeName, actors.GatewayPath), seen: make(map[string]uint64),
			random: rand.New(rand.NewPCG(s.params.Seed, 0x72656164)),
		}}
	})
	if err != nil || !s.world.RunUntil(func() bool { return s.working == 0 }, time.Minute) {
		s.violate("the last reads were not answered (%v)", err)
	}
}

// reader is a client that reads every path in turn.
type reader struct {
	client
	at int
}

// Receive drives the reads; the answers are the client's business.
func (r *reader) Receive(ctx *runtime.Context, msg any) {
	if _, due := msg.(nextDue); !due {
		r.client.Receive(ctx, msg)
		return
	}
	if r.at == 2*len(groups) {
		r.story.clientDone()
		return
	}
	r.now = &step{op: operation{client: r.number, in: input{kind: opGet, group: r.at / 2, path: r.at % 2}, call: int64(r.story.world.Elapsed())}}
	r.at++
	r.send(ctx)
}

// checkContent finds the value that a row stands for and reads its bytes back
// from the volumes, as a reader on the node would at this moment.
func (s *story) checkContent(in input, m *messages.StatReply) string {
	value, known := s.values.find(m.Row.Crc32C, m.Row.SizeBytes)
	if !known {
		s.violate("%s has content that nobody wrote (crc %08x, %d bytes)", pathOf(in.group, in.path), m.Row.Crc32C, m.Row.SizeBytes)
		return "?"
	}
	if s.node.Up() && s.data != nil && s.catalog != nil {
		s.checkBytes(pathOf(in.group, in.path), m.Row)
	}
	return value
}

// checkBytes reads a row's extents and compares them (invariants 1 and 6).
func (s *story) checkBytes(path string, row *messages.FileRow) {
	extents := row.Extents
	if row.Manifest != 0 {
		current, ok := s.catalog.Stat(clientTenant, path)
		if !ok || current.Version != row.Version {
			return // overwritten since; its manifest may be gone
		}
		extents = s.catalog.Manifest(row.Manifest, 0, int(row.ManifestExtents))
	}
	var content []byte
	for _, e := range extents {
		volume, ok := s.catalog.Volume(e.Volume)
		if !ok {
			s.violate("%s names volume %d, which is not in the catalog", path, e.Volume)
			return
		}
		var err error
		content, err = s.data.Volumes.ReadBody(model.VolumeID(e.Volume), e.Offset, e.RecordBytes, e.HeaderCrc32C, 0, e.BodyBytes, content)
		if err == nil {
			continue
		}
		if model.Tier(row.Tier) == model.TierRebuildable && s.powerCut {
			s.count("tier 3 content lost with the power")
			return
		}
		s.violate("%s at version %d cannot be read: %v (volume %v)", path, row.Version, err, volume)
		return
	}
	value, _ := s.values.find(row.Crc32C, row.SizeBytes)
	if _, known := s.values.find(crcOf(content), uint64(len(content))); !known || crcOf(content) != row.Crc32C {
		s.violate("%s at version %d has wrong bytes (%s expected)", path, row.Version, value)
	}
}

// checkState checks the catalog as a whole and every byte it names.
func (s *story) checkState() {
	if s.catalog == nil {
		return
	}
	for _, problem := range s.catalog.Verify() {
		s.violate("catalog: %s", problem)
	}
	if !bytes.Equal(s.catalog.StateHash(), s.catalog.Recompute()) {
		s.violate("the incremental state hash is not the recomputed one")
	}
	for g := range groups {
		for p := range groups[g].paths {
			if row, ok := s.catalog.Stat(clientTenant, pathOf(g, p)); ok {
				s.checkBytes(pathOf(g, p), row)
			}
		}
	}
}
