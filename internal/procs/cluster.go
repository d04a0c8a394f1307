package procs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options of a cluster.
type Options struct {
	Binary string // of tiercel, see Build
	Dir    string // data directories and logs go below it
	Nodes  int
	Args   []string // more flags of every node
	// ArgsOf are more flags of one node, by its number from 1; they come last.
	ArgsOf func(number int) []string
	// License is the level of the development licence that the cluster is founded with;
	// empty: enterprise. With "none" it has no licence.
	License string
	// Founder are more flags of the first node.
	Founder []string
	// Unjoined leaves out --join: the nodes find each other by what Args say.
	Unjoined bool
	// FirstUID makes each node a user of its own, counted from it, so that a packet
	// filter can tell who sends; 0: all run as the caller. It needs root.
	FirstUID uint32
	// Token is what requests to the nodes carry; empty: none. TLS is what they speak; nil:
	// plain HTTP.
	Token string
	TLS   *tls.Config
	// ReadyWithin bounds each start; 0: Patience.
	ReadyWithin time.Duration
}

// Cluster is a number of server processes that joined each other.
type Cluster struct {
	opt    Options
	client *http.Client // waits for what a node may wait for: a master, 30 s
	quick  *http.Client // of questions that are asked again and again
	Nodes  []*Node
	later  []*Node
}

// Build compiles tiercel into dir and returns the path of the binary.
func Build(dir string) (string, error) {
	binary := filepath.Join(dir, "tiercel")
	if out, err := exec.Command("go", "build", "-o", binary, "tiercel/cmd/tiercel").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tiercel: %w: %s", err, out)
	}
	return binary, nil
}

// diskTypes and racks are given out in turn.
var diskTypes = [...]string{"nvme", "ssd", "hdd"}

// Patience is for what must come, on a machine that is slow: processes may have to wait
// for seconds, and so may each sync of the disk.
const Patience = 2 * time.Minute

// Start starts n nodes, the first one founding the cluster, and waits until all
// of them serve and know each other.
func Start(opt Options) (*Cluster, error) {
	if opt.ReadyWithin == 0 {
		opt.ReadyWithin = Patience
	}
	c := &Cluster{opt: opt, client: &http.Client{Timeout: time.Minute, Transport: opt.transport()}}
	c.quick = &http.Client{Timeout: 5 * time.Second, Transport: c.client.Transport}
	if err := c.issueLicense(); err != nil {
		return nil, err
	}
	ports, err := FreePorts(2 * opt.Nodes)
	if err != nil {
		return nil, err
	}
	for i := range opt.Nodes {
		c.Nodes = append(c.Nodes, &Node{
			cluster: c, number: i + 1, dir: filepath.Join(opt.Dir, fmt.Sprintf("node-%d", i+1)),
			HTTP: fmt.Sprintf("127.0.0.1:%d", ports[2*i]), RPC: fmt.Sprintf("127.0.0.1:%d", ports[2*i+1]),
		})
	}
	for i, n := range c.Nodes {
		err := n.Start()
		if err == nil && (i == 0 || i == len(c.Nodes)-1) {
			// The founder first; the others may come at the same time.
			err = n.WaitReady(opt.ReadyWithin)
		}
		if err != nil {
			c.Kill()
			return nil, err
		}
	}
	if err := c.WaitFormed(opt.ReadyWithin); err != nil {
		err = fmt.Errorf("%w\n%s", err, c.Logs(80))
		c.Kill()
		return nil, err
	}
	return c, nil
}

// Add makes and starts one more node; it is not one of Nodes.
func (c *Cluster) Add() (*Node, error) {
	ports, err := FreePorts(2)
	if err != nil {
		return nil, err
	}
	number := len(c.Nodes) + len(c.later) + 1
	n := &Node{
		cluster: c, number: number, dir: filepath.Join(c.opt.Dir, fmt.Sprintf("node-%d", number)),
		HTTP: fmt.Sprintf("127.0.0.1:%d", ports[0]), RPC: fmt.Sprintf("127.0.0.1:%d", ports[1]),
	}
	c.later = append(c.later, n)
	return n, n.Start()
}

// All are Nodes and those that were added.
func (c *Cluster) All() []*Node { return slices.Concat(c.Nodes, c.later) }

// FreePorts asks the system for ports that nobody listens on right now.
func FreePorts(n int) ([]int, error) {
	var ports []int
	var open []net.Listener
	defer func() {
		for _, l := range open {
			_ = l.Close() // only the number was wanted
		}
	}()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		open = append(open, l)
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// Kill ends every node with SIGKILL.
func (c *Cluster) Kill() {
	for _, n := range c.All() {
		n.Kill()
	}
}

// Stop ends every node with SIGTERM and reports those that did not end cleanly.
func (c *Cluster) Stop() error {
	var errs []error
	for _, n := range c.All() {
		errs = append(errs, n.Stop(30*time.Second))
	}
	return errors.Join(errs...)
}

// WaitFormed waits until every node is ready and a master lists all workers as healthy.
func (c *Cluster) WaitFormed(within time.Duration) error {
	deadline := time.Now().Add(within)
	var last error
	for time.Now().Before(deadline) {
		if last = c.formed(); last == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the cluster did not form within %v: %w", within, last)
}

func (c *Cluster) formed() error {
	for _, n := range c.Nodes {
		if !n.Ready() {
			return fmt.Errorf("%s is not ready", n)
		}
	}
	var list struct {
		Workers []struct {
			State, Role string
		}
	}
	if err := c.get(c.quick, c.Nodes[0], "/cluster/workers", &list); err != nil {
		return err
	}
	healthy, voters := 0, 0
	for _, w := range list.Workers {
		if w.State == "healthy" {
			healthy++
		}
		if w.Role == "master" || w.Role == "voter" {
			voters++
		}
	}
	wanted := 1
	if len(c.Nodes) >= 5 {
		wanted = 5
	} else if len(c.Nodes) >= 3 {
		wanted = 3
	}
	if healthy < len(c.Nodes) || voters < wanted {
		return fmt.Errorf("%d of %d workers are healthy and %d of %d vote", healthy, len(c.Nodes), voters, wanted)
	}
	return nil
}

// Get reads a JSON document of the API from a node.
func (c *Cluster) Get(n *Node, path string, into any) error { return c.get(c.client, n, path, into) }

// Soon is Get, again and again until there is an answer: a new master may just come.
func (c *Cluster) Soon(n *Node, path string, into any) (err error) {
	Until(Patience, func() bool {
		err = c.Get(n, path, into)
		return err == nil
	})
	return err
}

func (c *Cluster) get(client *http.Client, n *Node, path string, into any) error {
	resp, err := client.Get(n.URL() + path)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s of %s: %s", path, n, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// Until looks ten times a second until it is so, or the time is over.
func Until(within time.Duration, so func() bool) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if so() {
			return true
		}
	}
	return false
}

// Do sends a request with a JSON body, or none, and reads the JSON answer into into, if
// that is not nil; any status but 2xx is an error with the answer in it. As long as there
// is no master to answer, it is sent again.
func (c *Cluster) Do(n *Node, method, path string, header http.Header, body string, into any) (err error) {
	Until(Patience, func() bool {
		var status int
		status, err = c.once(n, method, path, header, body, into)
		return status != http.StatusServiceUnavailable
	})
	return err
}

func (c *Cluster) once(n *Node, method, path string, header http.Header, body string, into any) (status int, err error) {
	req, err := http.NewRequest(method, n.URL()+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	switch {
	case err != nil:
		return resp.StatusCode, err
	case resp.StatusCode/100 != 2:
		return resp.StatusCode, fmt.Errorf("%s %s of %s: %s %.500s", method, path, n, resp.Status, answer)
	case into == nil:
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(answer, into)
}

// Master is the node that the others call master, asked of each until one knows.
func (c *Cluster) Master(ctx context.Context) (*Node, error) {
	for {
		for _, n := range c.Nodes {
			if !n.Running() {
				continue
			}
			var m struct {
				Address string
			}
			if err := c.get(c.quick, n, "/cluster/master", &m); err != nil {
				continue
			}
			for _, candidate := range c.All() {
				if candidate.RPC == m.Address && candidate.Running() {
					return candidate, nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("nobody names a master that runs: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Logs is the end of every node's log, for a failure.
func (c *Cluster) Logs(lines int) string {
	var b strings.Builder
	for _, n := range c.All() {
		text, _ := os.ReadFile(n.logName()) // without a log there is nothing to show
		all := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&b, "--- %s\n%s\n", n, strings.Join(all[max(0, len(all)-lines):], "\n"))
	}
	return b.String()
}
