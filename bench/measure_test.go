package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProcess_ReadsWhatLinuxTells(t *testing.T) {
	cpu, err := parseStat([]byte("42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 1 0 1 2 3"))
	require.NoError(t, err)
	assert.Equal(t, 4*time.Second, cpu)
	_, err = parseStat([]byte("42 (a) S 1"))
	assert.Error(t, err)

	size, err := parseStatus("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS")
	require.NoError(t, err)
	assert.Equal(t, int64(1<<20), size)
	_, err = parseStatus("Name:\tx\n", "VmRSS")
	assert.Error(t, err)

	inodes := make(map[string]bool)
	listeningInodes("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"+
		"   0: 0100007F:22B0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 777 1\n"+
		"   1: 0100007F:22B0 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000 0 888 1\n"+
		"   2: 0100007F:22B1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 999 1\n", 8880, inodes)
	assert.Equal(t, map[string]bool{"777": true}, inodes)
}

func TestDiskUsage_CountsBlocksAndLengths(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), make([]byte, 1000), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "d", "b"), make([]byte, 500), 0o644))
	_, apparent, err := diskUsage(dir)
	require.NoError(t, err)
	assert.Equal(t, int64(1500), apparent)
}

func TestReady_NamesTheAddress(t *testing.T) {
	for line, want := range map[string]string{
		"ready http=127.0.0.1:8880 rpc=127.0.0.1:8892 node=n-1\n": "127.0.0.1:8880",
		"ready rpc=x http=[::1]:1\n":                              "[::1]:1",
		"ready http=\n":                                           "",
		"getting ready http=1:2\n":                                "",
		"":                                                        "",
	} {
		got, ok := parseReady(line)
		assert.Equal(t, want, got)
		assert.Equal(t, want != "", ok)
	}
}

func TestByteSize_ReadsWhatItWrites(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "4096": 4096, "4KiB": 4096, "8 MiB": 8 << 20, "5GiB": 5 << 30, "10B": 10} {
		var b byteSize
		require.NoError(t, b.Set(text), text)
		assert.Equal(t, want, int64(b), text)
		var again byteSize
		require.NoError(t, again.Set(b.String()))
		assert.Equal(t, b, again)
	}
	for _, text := range []string{"", "KiB", "-1", "4kb", "1.5MiB", "99999999999GiB"} {
		var b byteSize
		assert.Error(t, b.Set(text), text)
	}
}

func TestTable_StatesSyncErrorsAndWhatIsUnknown(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, table(&out, []measurement{
		{
			Name: "put 4 KiB", Sync: syncMode(1), Connections: 64, Seconds: 2, Operations: 1000, Moved: 8e6,
			P50: time.Millisecond, P99: 2 * time.Millisecond, P999: 3 * time.Millisecond,
			ClientCPU: 10 * time.Millisecond, ServerCPU: 20 * time.Millisecond, ServerPeak: 64 << 20,
			Failures: map[string]uint64{"overloaded": 2, "no_answer": 1},
		},
		{Name: "get 4 KiB", Sync: "–"},
	}))
	assert.Contains(t, out.String(),
		"| put 4 KiB | tier 1: data and log fsynced | 64 | 500 | 4.0 | 1000 | 2000 | 3000 | 20 | 10 | 64 | no_answer ×1, overloaded ×2 |\n")
	assert.Contains(t, out.String(), "| get 4 KiB | – | 0 | 0 | 0.0 | 0 | 0 | 0 | ? | ? | ? | – |\n")
}
