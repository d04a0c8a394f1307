//go:build disks

package drill

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// These drills give a node of a cluster of real processes a disk that fills up, hangs or
// fails. They need root, loop devices and a mount namespace of their own, which
// `make drill-disks` makes; nothing outside it is touched.

// The requests to a file system that are no part of package syscall, see
// include/uapi/linux/fs.h and fs/ext4/ext4.h.
const (
	fifreeze      = 0xC0045877
	fithaw        = 0xC0045878
	ext4Shutdown  = 0x8004587D
	noLogFlush    = 2 // what is in the journal's buffers is lost, as by a power loss
	diskBytes     = 1 << 30
	fullDiskBytes = 700 * mib
)

// disk is a file system on which the data of one node lies.
type disk struct {
	t  *testing.T
	at string
}

// mounted makes the data directory of node n a file system of its own.
func mounted(t *testing.T, dir string, n int, args ...string) *disk {
	t.Helper()
	d := &disk{t, filepath.Join(dir, fmt.Sprintf("node-%d", n))}
	require.NoError(t, os.MkdirAll(d.at, 0o755))
	command(t, "mount", append(args, d.at)...)
	t.Cleanup(func() { command(t, "umount", "-l", d.at) })
	return d
}

// ext4 is mounted with a file system on a loop device.
func ext4(t *testing.T, dir string, n int) *disk {
	t.Helper()
	image := filepath.Join(dir, fmt.Sprintf("disk-%d", n))
	require.NoError(t, os.WriteFile(image, nil, 0o644))
	require.NoError(t, os.Truncate(image, diskBytes))
	command(t, "mkfs.ext4", "-q", "-F", image)
	return mounted(t, dir, n, "-o", "loop", image)
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}

// ask sends a request to the file system.
func (d *disk) ask(request uintptr, arg uint32) {
	d.t.Helper()
	f, err := os.Open(d.at)
	require.NoError(d.t, err)
	defer func() { _ = f.Close() }() // nothing was written
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(&arg)))
	require.Zero(d.t, errno, "ioctl %x of %s: %v", request, d.at, errno)
}

// hangs runs do while whatever writes to the disk waits.
func (d *disk) hangs(do func()) {
	d.t.Helper()
	d.ask(fifreeze, 0)
	thawed := false
	thaw := func() {
		if !thawed {
			thawed = true
			d.ask(fithaw, 0)
		}
	}
	defer thaw() // a process that waits for a disk cannot even be killed
	do()
	thaw()
}

// eachRole runs do for a disk of the master, which is the first node, and of a worker.
func eachRole(t *testing.T, do func(t *testing.T, number int)) {
	for _, c := range []struct {
		name   string
		number int
	}{{"of the master", 1}, {"of a worker", 3}} {
		t.Run(c.name, func(t *testing.T) { do(t, c.number) })
	}
}

// goesOn sees a load go on, as fast as this machine is; no request waits as long as a
// gateway may keep it, or it would have failed.
func goesOn(t *testing.T, load *procs.Load) {
	t.Helper()
	before := load.Acknowledged.Load()
	assert.True(t, procs.Until(procs.Patience, func() bool { return load.Acknowledged.Load() > before+100 }), "the cluster goes on")
}

func TestDisk_OneThatHangsIsNoYesAndTheClusterGoesOn(t *testing.T) {
	eachRole(t, func(t *testing.T, of int) {
		dir := t.TempDir()
		d := ext4(t, dir, of)
		cluster := clusterIn(t, dir, 4, "--disk-type", "ssd") // all alike: the lead stays where it is
		require.Equal(t, cluster.Nodes[0], masterOf(t, cluster))
		load := procs.StartLoad(cluster, 8, uint64(time.Now().UnixNano()))
		load.For(2 * time.Second)
		d.hangs(func() {
			load.Mark()
			took, err := load.FirstAck(procs.Patience)
			require.NoError(t, err, "%s", cluster.Logs(40))
			before := load.Acknowledged.Load()
			load.For(8 * time.Second)
			t.Logf("first write acknowledged after %v, %d more in 8 s; slowest request %v: %s", took, load.Acknowledged.Load()-before, load.Slowest(), load.SlowestWhat())
			goesOn(t, load)
		})
		for _, n := range cluster.Nodes {
			if !n.Running() { // it had enough of its disk
				t.Logf("%s had ended", n)
				require.NoError(t, n.Start())
			}
		}
		require.NoError(t, cluster.WaitFormed(procs.Patience), "%s", cluster.Logs(40))
		load.For(time.Second)
		settled(t, cluster, load)
		t.Logf("%d acknowledged writes, none lost or failed; slowest request %v: %s", load.Acknowledged.Load(), load.Slowest(), load.SlowestWhat())
	})
}

// stoppable is a disk that is a process (a file system in user space): stopped, it
// answers nothing at all, reads and questions about its size included.
func stoppable(t *testing.T, dir string, n int) (stop, resume func()) {
	t.Helper()
	binary, err := exec.LookPath("bindfs")
	require.NoError(t, err, "it needs bindfs, see `make drill-disks`")
	at, behind := filepath.Join(dir, fmt.Sprintf("node-%d", n)), filepath.Join(dir, fmt.Sprintf("behind-%d", n))
	require.NoError(t, os.MkdirAll(at, 0o755))
	require.NoError(t, os.MkdirAll(behind, 0o755))
	cmd := exec.Command(binary, "-f", behind, at)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		command(t, "umount", "-l", at)
		_ = cmd.Wait() // it ends with its mount
	})
	there := func() bool {
		text, _ := os.ReadFile("/proc/self/mounts") // without it the wait fails
		return bytes.Contains(text, []byte(at+" fuse"))
	}
	require.True(t, procs.Until(procs.Patience, there), "the file system was not mounted")
	return func() { require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP)) }, func() { require.NoError(t, cmd.Process.Signal(syscall.SIGCONT)) }
}

func TestDisk_WhatLiesOnOneThatAnswersNothingIsReadElsewhere(t *testing.T) {
	dir := t.TempDir()
	stop, resume := stoppable(t, dir, 3)
	cluster := clusterIn(t, dir, 4)
	load := procs.StartLoad(cluster, 4, uint64(time.Now().UnixNano()))
	h := &healing{t: t, c: cluster, via: cluster.Nodes[0], sums: make(map[string][32]byte)}
	h.fillIn(4, "models", "sessions")
	stop()
	stopped := true
	defer func() {
		if stopped {
			resume() // a process that waits for a disk cannot even be killed
		}
	}()
	load.For(5 * time.Second)
	began := time.Now()
	for _, n := range cluster.Nodes {
		h.readAll(n, nil)
	}
	t.Logf("%d files of 8 MiB read through each of four nodes in %v", len(h.sums), time.Since(began))
	goesOn(t, load)
	slowest := load.Slowest()
	resume()
	stopped = false
	require.NoError(t, cluster.WaitFormed(procs.Patience), "%s", cluster.Logs(40))
	load.For(time.Second)
	settled(t, cluster, load)
	t.Logf("%d acknowledged writes, none lost or failed; slowest request %v", load.Acknowledged.Load(), slowest)
}

func TestDisk_OneThatFailsIsNoYesAndTheClusterGoesOn(t *testing.T) {
	eachRole(t, func(t *testing.T, of int) {
		dir := t.TempDir()
		d := ext4(t, dir, of)
		cluster := clusterIn(t, dir, 4, "--disk-type", "ssd") // all alike: the lead stays where it is
		// Of tier 3, what was not synced yet is lost with the disk's buffers.
		load := procs.StartLoadIn(cluster, 8, uint64(time.Now().UnixNano()), "/models", "/sessions")
		load.For(2 * time.Second)
		failing := cluster.Nodes[of-1]
		d.ask(ext4Shutdown, noLogFlush)
		load.Mark()
		took, err := load.FirstAck(procs.Patience)
		require.NoError(t, err, "%s", cluster.Logs(40))
		before := load.Acknowledged.Load()
		load.For(5 * time.Second)
		t.Logf("first write acknowledged after %v, %d more in 5 s", took, load.Acknowledged.Load()-before)
		goesOn(t, load)
		within := 5 * time.Second
		if of == 1 {
			within = procs.Patience
		}
		if status, err := failing.WaitEnd(within); err == nil {
			assert.Equal(t, 1, status)
			assert.Contains(t, cluster.Logs(100), "node halted")
		} else { // of four nodes one does not vote, and has no log
			require.NotEqual(t, 1, of, "a node without its log ends")
			failing.Kill()
		}
		// The disk is what it was at the moment it failed.
		command(t, "umount", d.at)
		command(t, "mount", "-o", "loop", filepath.Join(dir, fmt.Sprintf("disk-%d", of)), d.at)
		require.NoError(t, failing.Start())
		require.NoError(t, failing.WaitReady(procs.Patience))
		require.NoError(t, cluster.WaitFormed(procs.Patience), "%s", cluster.Logs(40))
		load.For(time.Second)
		settled(t, cluster, load)
		t.Logf("%d acknowledged writes, none lost or failed; slowest request %v: %s", load.Acknowledged.Load(), load.Slowest(), load.SlowestWhat())
	})
}

func TestDisk_OneThatIsFullIsNoYesAndTheClusterGoesOn(t *testing.T) {
	dir := t.TempDir()
	d := mounted(t, dir, 3, "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", fullDiskBytes), "tmpfs")
	cluster := clusterIn(t, dir, 4)
	load := procs.StartLoad(cluster, 4, uint64(time.Now().UnixNano()))
	h := &healing{t: t, c: cluster, via: cluster.Nodes[0], sums: make(map[string][32]byte)}
	body := bytes.Repeat([]byte("full"), 2*mib)
	const files = 60 // three copies each on four nodes
	for i := range files {
		h.put(fmt.Sprintf("/models/full-%d", i), body)
	}
	t.Logf("before: %+v", h.worker(cluster.Nodes[2]).Free)
	// Somebody else takes the rest, down to the last byte.
	other, err := os.Create(filepath.Join(d.at, "other"))
	require.NoError(t, err)
	_, err = io.Copy(other, zeros{})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, other.Close())
	load.For(5 * time.Second)
	goesOn(t, load)
	for i := range files {
		require.NoError(t, cluster.Do(cluster.Nodes[i%4], http.MethodDelete, fmt.Sprintf("/files/models/full-%d", i), nil, "", nil))
	}
	require.NoError(t, os.Remove(other.Name()))
	for _, n := range cluster.Nodes {
		if !n.Running() {
			t.Logf("%s had ended", n)
			require.NoError(t, n.Start())
		}
	}
	require.NoError(t, cluster.WaitFormed(procs.Patience), "%s", cluster.Logs(40))
	require.True(t, procs.Until(procs.Patience, func() bool { w := h.worker(cluster.Nodes[2]); return w.Free > w.Total/2 }), "%+v", h.worker(cluster.Nodes[2]))
	settled(t, cluster, load)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
