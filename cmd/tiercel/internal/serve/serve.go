package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	goruntime "runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors"
	"tiercel/actors/edge"
	"tiercel/actors/runtime/discovery"
	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/httpapi"
	"tiercel/internal/version"
	"tiercel/messages"
	"tiercel/store"
)

// bodyCredit bounds the memory of all bodies under way (edge), and so of those that
// the gateway queues while there is no master.
const bodyCredit = 256 << 20

// stepTimeout bounds one step of a request behind the edge: a lookup, a commit,
// one part of a large body. While there is no master writes wait up to this long.
const stepTimeout = 30 * time.Second

// shutdownTimeout bounds how long requests under way may still take at the end.
const shutdownTimeout = 15 * time.Second

// heapFloor is the live heap that the collector acts as if there were: it is never
// touched, so it takes no memory, and a small node does not collect every few
// milliseconds under load (5 % of its CPU before).
const heapFloor = 32 << 20

// Run serves until ctx ends, then stops cleanly and returns nil. It prints the
// ready line to stdout once requests can be served.
func Run(ctx context.Context, cfg config.Server, log *slog.Logger, stdout io.Writer) (err error) {
	s := &serving{cfg: cfg, log: log, halted: make(chan error, 1), ready: make(chan struct{}), secretsRead: make(chan struct{})}
	s.state.Store(&readiness{reason: "the node is starting"})
	floor := make([]byte, heapFloor)
	defer goruntime.KeepAlive(floor)
	defer func() {
		// A node that has halted ends like one that was killed: its disk may be the reason,
		// and nobody will answer the requests under way; their clients see a broken
		// connection, and ask another node.
		var halted *haltedError
		if !errors.As(err, &halted) {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.open(ctx); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case <-s.ready:
		fmt.Fprintf(stdout, "ready http=%s rpc=%s node=%s\n", s.listener.Addr(), s.node.Address(), s.data.Dir.Identity().NodeID)
		go s.offerLicense(ctx)
	case err := <-s.halted:
		return &haltedError{s.licence.beside(err, s.cfg.License, time.Now())}
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
		return nil
	case err := <-s.halted:
		return &haltedError{err}
	case err := <-failed:
		return err
	}
}

// haltedError is why the node halted.
type haltedError struct{ error }

func (e *haltedError) Unwrap() error { return e.error }

// readiness is what /readyz says.
type readiness struct {
	ok     bool
	reason string
}

// serving is one running node; its parts are closed in reverse order.
type serving struct {
	cfg      config.Server
	log      *slog.Logger
	data     *actors.Data
	node     *live.Node
	client   *edge.Client
	licence  licence
	finder   *discovery.Finder // nil: static
	listener net.Listener
	http     *httpapi.Server
	halted   chan error
	state    atomic.Pointer[readiness]
	ready    chan struct{}
	once     atomic.Bool
	secrets  secrets
	// secretsRead is closed when there is somebody to tell of changes to them.
	secretsRead chan struct{}
}

func (s *serving) open(ctx context.Context) error {
	var err error
	if s.licence, err = readLicense(s.cfg.License); err != nil {
		return err
	}
	fs, err := store.NewDirFS(s.cfg.DataDir)
	if err != nil {
		return err
	}
	if err = s.openSecrets(); err != nil {
		return err
	}
	if s.listener, err = net.Listen("tcp", s.cfg.HTTP); err != nil {
		return model.Errorf(model.CodeUnavailable, "listen", "--http %s cannot be used: %w; choose another with --http", s.cfg.HTTP, err)
	}
	joins, err := s.joins(ctx, fs)
	if err != nil {
		return err
	}
	if s.data, err = actors.OpenData(fs, rand.Reader, joins); err != nil {
		return err
	}
	s.tellAside(s.data.Dir.SetAside())
	s.openAudit()
	for _, warning := range s.secretWarnings() { // the status has them later, and who starts a node looks here
		s.log.Warn("who may speak to this node", "reason", warning)
	}
	close(s.secretsRead)
	id := s.data.Dir.Identity()
	s.node, err = live.New(live.Config{
		Node: id.NodeID, Incarnation: id.Incarnation, FS: s.data.Dir.FS, Log: s.log, RPC: s.cfg.RPC, Advertise: s.cfg.Advertise,
		TLS: s.secrets.certs.Nodes(), Insecure: s.cfg.Insecure, OnHalt: func(reason error) {
			s.halted <- reason
		},
	})
	if err != nil {
		return err
	}
	s.client = edge.New(edge.Config{
		Asker: s.node.Edge(), Gateway: s.node.Local(actors.GatewayPath), Volumes: s.data.Volumes,
		Node: string(id.NodeID), Worker: func(n model.NodeID) *actor.PID { return s.node.Peer(n, actors.WorkerPath) },
		BodyCredit: bodyCredit, StepTimeout: stepTimeout, Ready: s.isReady,
	})
	s.http = httpapi.New(s.guard(httpapi.Config{Logger: s.log}), s.client)
	if _, err = actors.Start(s.node, s.data, s.options()); err != nil || s.finder == nil {
		return err
	}
	s.finder.Start(s.node.Address(), func(addresses []string) { actors.Discovered(s.node, addresses) })
	return nil
}

func (s *serving) options() actors.Options {
	opt := actors.DefaultOptions()
	// Raft counts its heartbeats in ticks; the interval is the operator's.
	opt.Tick = min(opt.Tick, max(10*time.Millisecond, s.cfg.MasterHeartbeatInterval/4))
	opt.HeartbeatTicks = max(1, int(s.cfg.MasterHeartbeatInterval/opt.Tick))
	// Three silent intervals and a head start for each better candidate come first.
	opt.ElectionTicks = max(10, 9*opt.HeartbeatTicks/2)
	opt.HeartbeatInterval, opt.Join, opt.Failover = s.cfg.HeartbeatInterval, s.cfg.Join, s.cfg.Failover
	opt.License, opt.LicenseKeys = s.founding(), s.licence.keys
	opt.Discovers = s.finder != nil
	opt.ArchiveEvery = s.cfg.JournalInterval
	// A heartbeat carries the capacity; the own disk is looked at every second at
	// least, so that a full one is noticed before the log is in its way.
	opt.ReportEvery = min(opt.ReportEvery, s.cfg.HeartbeatInterval)
	opt.CapacityBytes = uint64(s.cfg.Capacity)
	opt.DiskBusy = diskUnder(sysBlock, s.cfg.DataDir).busy
	opt.DefaultBudget = stepTimeout
	opt.Announced = s.announced
	opt.Worker = &messages.WorkerRow{
		Address: s.node.Address(), DiskType: diskType(s.cfg), Dc: s.cfg.DC, Rack: s.cfg.Rack, Host: host(s.cfg),
		Version: version.String(), Incarnation: s.data.Dir.Identity().Incarnation,
	}
	return opt
}

// announced is called by the gateway actor; it must not block.
func (s *serving) announced(ok bool, reason string) {
	s.state.Store(&readiness{ok: ok, reason: reason})
	if ok && s.once.CompareAndSwap(false, true) {
		close(s.ready)
	}
}

func (s *serving) isReady() (bool, string) {
	r := s.state.Load()
	return r.ok, r.reason
}

// close stops what was opened, newest first.
func (s *serving) close() error {
	var errs []error
	if s.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		errs = append(errs, s.http.Shutdown(ctx))
	}
	if s.listener != nil {
		_ = s.listener.Close() // closed already when HTTP was served
	}
	errs = append(errs, s.closeSecrets())
	if s.finder != nil {
		s.finder.Stop()
	}
	if s.node != nil {
		errs = append(errs, s.node.Stop())
	}
	if s.data != nil {
		errs = append(errs, s.data.Close())
	}
	return errors.Join(errs...)
}
