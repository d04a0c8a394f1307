package dev

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"tiercel/cluster/model"
)

// MaxNodes of a local cluster.
const MaxNodes = 16

// Options of a local cluster.
type Options struct {
	Binary         string // of the server
	Dir            string
	Nodes          int
	Heartbeat      time.Duration
	MasterInterval time.Duration
	License        string // text that the cluster runs under; empty: none
	TLS            bool   // certificates and a token, too
	Out            io.Writer
}

// ports of one node, kept in ports.yaml.
type ports struct {
	HTTP int `yaml:"http"`
	RPC  int `yaml:"rpc"`
}

const (
	readyWithin = 60 * time.Second
	stopWithin  = 20 * time.Second
)

var diskTypes = [...]string{"nvme", "ssd", "hdd"}

// Run starts the cluster, says how to use it, and ends it with ctx. A node that
// ends by itself is told of; the others go on.
func Run(ctx context.Context, opt Options) error {
	all, err := readPorts(opt.Dir, opt.Nodes)
	if err != nil {
		return err
	}
	if err := writeLicense(opt); err != nil {
		return err
	}
	c := &cluster{opt: opt, ports: all}
	if opt.TLS {
		if c.secured, err = secure(opt.Dir, opt.Nodes); err != nil {
			return err
		}
	}
	defer c.stop()
	_, err = os.Stat(filepath.Join(opt.Dir, "node-1"))
	founded := err == nil
	for i := range opt.Nodes {
		n, err := c.start(i)
		if err != nil {
			return err
		}
		// The first founds the cluster; the others may come at the same time. Once it is
		// founded none is ready before enough of them are there.
		if i == 0 && !founded {
			if err := c.waitReady(ctx, n); err != nil {
				return err
			}
		}
	}
	var up []*node
	for _, n := range c.nodes {
		err := c.waitReady(ctx, n)
		switch {
		case err == nil:
			up = append(up, n)
		case founded && model.CodeOf(err) == model.CodeUnavailable:
			c.say("node-%d is left out; the others go on. If it was removed from the cluster, remove its directory, and the next start makes a new node", n.number)
		default:
			return err
		}
	}
	if len(up) == 0 {
		return model.Errorf(model.CodeUnavailable, "start local cluster", "every node ended before it was ready; their logs in %s say why", opt.Dir)
	}
	if c.nodes = up; ctx.Err() != nil {
		return nil // it was stopped before it was up
	}
	c.explain()
	<-ctx.Done()
	return nil
}

// cluster is what runs.
type cluster struct {
	opt     Options
	ports   []ports
	nodes   []*node
	secured *secured   // nil: neither TLS nor tokens
	mu      sync.Mutex // one line at a time to Out
	ends    bool
}

type node struct {
	number int
	cmd    *exec.Cmd
	ready  chan struct{}
	done   chan struct{}
}

// readPorts returns the ports of an earlier run, and free ones for new nodes.
func readPorts(dir string, n int) ([]ports, error) {
	const op = "start local cluster"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, model.Errorf(model.CodeUnavailable, op, "%s cannot be made: %w", dir, err)
	}
	name := filepath.Join(dir, "ports.yaml")
	var known []ports
	text, err := os.ReadFile(name)
	if err == nil {
		err = yaml.Unmarshal(text, &known)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%s cannot be read; remove it, or choose another directory with --data-dir: %w", name, err)
	}
	var open []net.Listener
	defer func() {
		for _, l := range open {
			_ = l.Close() // only its number was wanted
		}
	}()
	for len(known) < n {
		var p [2]int
		for i := range p {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, model.Errorf(model.CodeUnavailable, op, "no free port: %w", err)
			}
			open = append(open, l)
			p[i] = l.Addr().(*net.TCPAddr).Port
		}
		known = append(known, ports{HTTP: p[0], RPC: p[1]})
	}
	if text, err = yaml.Marshal(known); err == nil {
		err = os.WriteFile(name, text, 0o644)
	}
	if err != nil {
		return nil, model.Errorf(model.CodeUnavailable, op, "%s cannot be written: %w", name, err)
	}
	return known, nil
}

func (c *cluster) start(i int) (*node, error) {
	name := fmt.Sprintf("node-%d", i+1)
	log, err := os.OpenFile(filepath.Join(c.opt.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, model.Errorf(model.CodeUnavailable, "start "+name, "its log cannot be opened: %w", err)
	}
	defer func() { _ = log.Close() }() // the process has its own
	args := []string{
		"server", "--data-dir", filepath.Join(c.opt.Dir, name), "--http", address(c.ports[i].HTTP), "--rpc", address(c.ports[i].RPC),
		"--host", fmt.Sprintf("host-%d", i+1), "--rack", fmt.Sprintf("rack-%d", i%2+1), "--dc", "local", "--disk-type", diskTypes[i%len(diskTypes)],
		"--heartbeat-interval", c.opt.Heartbeat.String(), "--master-heartbeat-interval", c.opt.MasterInterval.String(),
	}
	if c.opt.License != "" {
		args = append(args, "--license", licenseFile(c.opt.Dir))
	}
	if c.secured != nil {
		args = append(args, c.secured.args(i)...)
	}
	if i > 0 {
		args = append(args, "--join", address(c.ports[0].RPC))
	}
	cmd := exec.Command(c.opt.Binary, args...)
	cmd.Stderr = log
	// What the verbs of this shell show to a server is not what a server shows.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "TIERCEL_TLS_") })
	// A signal to the terminal's group is ours to pass on, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, model.Errorf(model.CodeUnavailable, "start "+name, "the process cannot be started: %w", err)
	}
	n := &node{number: i + 1, cmd: cmd, ready: make(chan struct{}), done: make(chan struct{})}
	c.nodes = append(c.nodes, n)
	go c.follow(n, out)
	return n, nil
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// follow prints the ready line and says when the process ends.
func (c *cluster) follow(n *node, out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		c.say("%s", lines.Text())
		if strings.HasPrefix(lines.Text(), "ready ") {
			close(n.ready)
			break
		}
	}
	_, _ = io.Copy(io.Discard, out) // nothing more is expected
	_ = n.cmd.Wait()                // its status is in ProcessState
	c.mu.Lock()
	ends := c.ends
	c.mu.Unlock()
	if !ends {
		c.say("node-%d has ended: %s; its log is %s", n.number, n.cmd.ProcessState, filepath.Join(c.opt.Dir, fmt.Sprintf("node-%d.log", n.number)))
	}
	close(n.done)
}

func (c *cluster) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.opt.Out, format+"\n", args...)
}

func (c *cluster) waitReady(ctx context.Context, n *node) error {
	op := fmt.Sprintf("start node-%d", n.number)
	log := filepath.Join(c.opt.Dir, fmt.Sprintf("node-%d.log", n.number))
	select {
	case <-n.ready:
		return nil
	case <-ctx.Done():
		return nil
	case <-n.done:
		return model.Errorf(model.CodeUnavailable, op, "it ended before it was ready; %s says why", log)
	case <-time.After(readyWithin):
		return model.Errorf(model.CodeDeadlineExceeded, op, "it was not ready within %v; %s may say why", readyWithin, log)
	}
}

func (c *cluster) explain() {
	first := 0
	if len(c.nodes) > 0 {
		first = c.nodes[0].number - 1
	}
	url, environment, curl, more := "http://"+address(c.ports[first].HTTP), "", "", ""
	if c.secured != nil {
		url, environment, curl, more = "https://"+address(c.ports[first].HTTP), c.secured.environment(), c.secured.curl(), c.secured.more()
	}
	pids := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		pids[i] = fmt.Sprintf("node-%d %d", n.number, n.cmd.Process.Pid)
	}
	c.say(`
%d nodes are up; data and logs are in %s. Any of them takes requests:

  export TIERCEL_SERVER=%s%s
  tiercel workers
  tiercel master
  curl %s-T README.md %s/api/v1/storage/files/models/readme
  curl %s%s/api/v1/storage/files/models/readme
%s
Kill one with kill -9 and watch; their process ids: %s.
Ctrl-C stops them all; the same command starts them again.`,
		len(c.nodes), c.opt.Dir, url, environment, curl, url, curl, url, more, strings.Join(pids, ", "))
}

// stop ends every process: asked first, then by force.
func (c *cluster) stop() {
	c.mu.Lock()
	c.ends = true
	c.mu.Unlock()
	for _, n := range c.nodes {
		_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	}
	deadline := time.After(stopWithin)
	for _, n := range c.nodes {
		select {
		case <-n.done:
		case <-deadline:
			_ = n.cmd.Process.Kill()
			<-n.done
		}
	}
}
