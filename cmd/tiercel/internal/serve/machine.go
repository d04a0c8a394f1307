package serve

import (
	"os"
	"strings"

	"tiercel/cmd/tiercel/internal/config"
)

// diskType is the kind of the disk under the data directory: what the operator
// said, or what the kernel knows of the block device; ssd when it knows nothing.
func diskType(cfg config.Server) string {
	if cfg.DiskType != "auto" {
		return cfg.DiskType
	}
	if kind := diskUnder(sysBlock, cfg.DataDir).kind(); kind != "" {
		return kind
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
