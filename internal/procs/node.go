package procs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Node is one server process, or the place where it ran and will run again.
type Node struct {
	cluster *Cluster
	number  int
	dir     string
	HTTP    string // host:port
	RPC     string
	Join    *Node // whom --join names; nil: the first node, or nobody for that one

	mu    sync.Mutex
	cmd   *exec.Cmd
	ready chan struct{} // closed by the ready line
	done  chan struct{} // closed when the process has ended
}

// Number counts the nodes of its cluster from 1.
func (n *Node) Number() int { return n.number }

// String names the node.
func (n *Node) String() string { return fmt.Sprintf("node-%d", n.number) }

// URL is the base of the node's API.
func (n *Node) URL() string { return n.Server() + "/api/v1/storage" }

// Server is the URL that verbs take.
func (n *Node) Server() string { return n.cluster.opt.scheme() + "://" + n.HTTP }

func (n *Node) logName() string { return filepath.Join(n.cluster.opt.Dir, n.String()+".log") }

// UID is the user that the process runs as, 0: the caller.
func (n *Node) UID() uint32 {
	if n.cluster.opt.FirstUID == 0 {
		return 0
	}
	return n.cluster.opt.FirstUID + uint32(n.number)
}

// Dir is its data directory.
func (n *Node) Dir() string { return n.dir }

// Start starts the process on its data directory and its ports.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running() {
		return fmt.Errorf("%s runs already", n)
	}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(n.logName(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd := exec.Command(n.cluster.opt.Binary, n.args()...)
	cmd.Stderr = log
	if uid := n.UID(); uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if err := os.Chown(n.dir, int(uid), int(uid)); err != nil {
			return err
		}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.cmd, n.ready, n.done = cmd, make(chan struct{}), make(chan struct{})
	go n.follow(cmd, out, n.ready, n.done)
	return nil
}

func (n *Node) args() []string {
	args := []string{
		"server", "--data-dir", n.dir, "--http", n.HTTP, "--rpc", n.RPC, "--host", fmt.Sprintf("host-%d", n.number),
		"--rack", fmt.Sprintf("rack-%d", n.number%2), "--disk-type", diskTypes[n.number%len(diskTypes)],
	}
	join := n.Join
	if join == nil && n.number > 1 && !n.cluster.opt.Unjoined {
		join = n.cluster.Nodes[0]
	}
	if join != nil {
		args = append(args, "--join", join.RPC)
	}
	if n.number == 1 {
		args = append(args, n.cluster.licenseArgs()...)
		args = append(args, n.cluster.opt.Founder...)
	}
	args = append(args, n.cluster.opt.Args...)
	if n.cluster.opt.ArgsOf != nil {
		args = append(args, n.cluster.opt.ArgsOf(n.number)...)
	}
	return args
}

// follow waits for the ready line and for the end.
func (n *Node) follow(cmd *exec.Cmd, out io.Reader, ready, done chan struct{}) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready ") {
			close(ready)
			break
		}
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // its status is in ProcessState
	close(done)
}

func (n *Node) running() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.done:
		return false
	default:
		return true
	}
}

// Running reports whether the process lives.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running()
}

// WaitReady waits for the ready line of the newest start.
func (n *Node) WaitReady(within time.Duration) error {
	n.mu.Lock()
	ready, done := n.ready, n.done
	n.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-done:
		return fmt.Errorf("%s ended before it was ready; logs:\n%s", n, n.cluster.Logs(20))
	case <-time.After(within):
		return fmt.Errorf("%s was not ready within %v; logs:\n%s", n, within, n.cluster.Logs(20))
	}
}

// Ready asks the node whether it can serve.
func (n *Node) Ready() bool {
	resp, err := n.cluster.quick.Get(n.Server() + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// WaitEnd waits until the process ends by itself and returns its exit status.
func (n *Node) WaitEnd(within time.Duration) (int, error) {
	if !n.wait(within) {
		return 0, fmt.Errorf("%s still runs after %v", n, within)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.ProcessState.ExitCode(), nil
}

// signal sends one to the process, if it lives.
func (n *Node) signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running() {
		_ = n.cmd.Process.Signal(s) // it may end at this moment
	}
}

// Kill is kill -9; it returns when the process has ended.
func (n *Node) Kill() {
	n.signal(syscall.SIGKILL)
	n.wait(time.Minute)
}

// Pause is SIGSTOP.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP) }

// Hangup is SIGHUP.
func (n *Node) Hangup() { n.signal(syscall.SIGHUP) }

// Resume is SIGCONT.
func (n *Node) Resume() { n.signal(syscall.SIGCONT) }

// Stop is SIGTERM; an error says that the node did not end cleanly in time.
func (n *Node) Stop(within time.Duration) error {
	n.signal(syscall.SIGTERM)
	if !n.wait(within) {
		n.Kill()
		return fmt.Errorf("%s did not end within %v after SIGTERM", n, within)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil && n.cmd.ProcessState.ExitCode() != 0 {
		return errors.New(n.String() + " ended with " + n.cmd.ProcessState.String())
	}
	return nil
}

func (n *Node) wait(within time.Duration) bool {
	n.mu.Lock()
	done := n.done
	n.mu.Unlock()
	if done == nil {
		return true
	}
	select {
	case <-done:
		return true
	case <-time.After(within):
		return false
	}
}
