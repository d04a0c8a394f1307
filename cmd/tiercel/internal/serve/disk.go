package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// disk is what the kernel says of the block device under a directory: its directory
// in sysfs, that of the whole disk for a partition. Empty: there is no such device
// (a file system in memory, over a network, or over several disks).
type disk struct{ sys string }

const sysBlock = "/sys/dev/block"

// diskUnder finds the device of a directory; sys is /sys/dev/block.
func diskUnder(sys, dir string) disk {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return disk{}
	}
	return diskAt(filepath.Join(sys, fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))))
}

func diskAt(device string) disk {
	target, err := filepath.EvalSymlinks(device)
	if err != nil {
		return disk{}
	}
	if _, err := os.Stat(filepath.Join(target, "partition")); err == nil {
		target = filepath.Dir(target)
	}
	return disk{sys: target}
}

// kind is nvme, ssd or hdd; empty when the kernel does not say. What is made of
// several devices (LVM, encryption, RAID) is as good as the worst of them.
func (d disk) kind() string {
	if d.sys == "" {
		return ""
	}
	worst := ""
	below, _ := filepath.Glob(filepath.Join(d.sys, "slaves", "*")) // the pattern is well formed
	for _, device := range below {
		kind := diskAt(device).kind()
		if worst == "" || kind == "hdd" || kind == "ssd" && worst == "nvme" {
			worst = kind
		}
	}
	if worst != "" {
		return worst
	}
	if strings.HasPrefix(filepath.Base(d.sys), "nvme") {
		return "nvme"
	}
	switch text, _ := os.ReadFile(filepath.Join(d.sys, "queue", "rotational")); strings.TrimSpace(string(text)) {
	case "1":
		return "hdd"
	case "0":
		return "ssd"
	}
	return ""
}

// ioTicks is the place in "stat" of the milliseconds in which I/O was under way
// (Documentation/block/stat.rst in the kernel's source).
const ioTicks = 9

// busy is for how long the device has had work since the machine was started, by
// whomever. False: the kernel does not say.
func (d disk) busy() (time.Duration, bool) {
	if d.sys == "" {
		return 0, false
	}
	text, err := os.ReadFile(filepath.Join(d.sys, "stat"))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text))
	if len(fields) <= ioTicks {
		return 0, false
	}
	ms, err := strconv.ParseUint(fields[ioTicks], 10, 63)
	return time.Duration(ms) * time.Millisecond, err == nil
}
