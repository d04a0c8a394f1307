package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"tiercel/cmd/tiercel/internal/config"
)

// diskType is the kind of the disk under the data directory: what the operator
// said, or what the kernel knows of the block device; ssd when it knows nothing.
func diskType(cfg config.Server) string {
	if cfg.DiskType != "auto" {
		return cfg.DiskType
	}
	var st unix.Stat_t
	if err := unix.Stat(cfg.DataDir, &st); err != nil {
		return "ssd"
	}
	device := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	if target, err := filepath.EvalSymlinks(device); err == nil && strings.Contains(target, "/nvme") {
		return "nvme"
	}
	// A partition has its queue one level up.
	for _, queue := range []string{"/queue/rotational", "/../queue/rotational"} {
		if text, err := os.ReadFile(device + queue); err == nil {
			if strings.TrimSpace(string(text)) == "1" {
				return "hdd"
			}
			return "ssd"
		}
	}
	return "ssd"
}

// host is the failure domain: what the operator said, or this machine.
func host(cfg config.Server) string {
	if cfg.Host != "" {
		return cfg.Host
	}
	if id, err := os.ReadFile("/etc/machine-id"); err == nil && len(strings.TrimSpace(string(id))) > 0 {
		return strings.TrimSpace(string(id))
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
