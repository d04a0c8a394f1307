package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// sysfs lays files out under a directory.
func sysfs(t *testing.T, files map[string]string) string {
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return root
}

func TestDisk_KindIsWhatTheKernelSaysOfTheDevice(t *testing.T) {
	root := sysfs(t, map[string]string{
		"block/sda/queue/rotational": "1\n", "block/sda/sda1/partition": "1\n",
		"block/sdb/queue/rotational": "0\n", "block/nvme0n1/queue/rotational": "0\n", "block/nvme0n1/nvme0n1p2/partition": "2\n",
		"block/dm-0/queue/rotational": "0\n", "block/dm-1/queue/rotational": "0\n", "block/odd/size": "1\n",
	})
	link := func(from, to string) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(from)), 0o755))
		require.NoError(t, os.Symlink(filepath.Join(root, to), filepath.Join(root, from)))
	}
	link("block/dm-0/slaves/nvme0n1p2", "block/nvme0n1/nvme0n1p2")
	link("block/dm-1/slaves/nvme0n1p2", "block/nvme0n1/nvme0n1p2")
	link("block/dm-1/slaves/sda1", "block/sda/sda1")
	for device, want := range map[string]string{
		"sda": "hdd", "sda/sda1": "hdd", "sdb": "ssd", "nvme0n1": "nvme", "nvme0n1/nvme0n1p2": "nvme",
		"dm-0": "nvme", "dm-1": "hdd", "odd": "", "none": "",
	} {
		assert.Equal(t, want, diskAt(filepath.Join(root, "block", device)).kind(), device)
	}
}

func TestDisk_BusyIsTheTimeInWhichTheDeviceHadWork(t *testing.T) {
	dir := t.TempDir()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(dir, &st))
	device := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	sys := func(stat string) string { return sysfs(t, map[string]string{device + "/stat": stat}) }
	busy, known := diskUnder(sys("  121932    24910  8304186    48582   521030   119812 14832064   143094        0    65516   225179\n"), dir).busy()
	assert.True(t, known)
	assert.Equal(t, 65516*time.Millisecond, busy)
	for _, broken := range []string{"", "1 2 3", "1 2 3 4 5 6 7 8 9 x"} {
		_, known = diskUnder(sys(broken), dir).busy()
		assert.False(t, known, broken)
	}
	_, known = diskUnder(t.TempDir(), dir).busy()
	assert.False(t, known, "no such device")
}
