package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func load(t *testing.T, yaml string, environ []string, args ...string) (Server, error) {
	t.Helper()
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	AddFlags(flags)
	if yaml != "" {
		path := filepath.Join(t.TempDir(), "tiercel.yaml")
		require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
		args = append(args, "--config", path)
	}
	require.NoError(t, flags.Parse(args))
	return Load(flags, environ)
}

func TestLoad_DefaultsAreThoseOfTheContract(t *testing.T) {
	s, err := load(t, "", nil)
	require.NoError(t, err)
	assert.Equal(t, Server{
		DataDir: "./tiercel-data", HTTP: "127.0.0.1:8880", RPC: "127.0.0.1:8892", DiskType: "auto",
		Discovery:         Discovery{Kind: "static", Name: "tiercel"},
		HeartbeatInterval: 30 * time.Second, JournalInterval: 2 * time.Second, MasterHeartbeatInterval: 500 * time.Millisecond, Failover: true,
		LogLevel: slog.LevelInfo, LogFormat: "text", Access: Access{TLSClients: "none"},
	}, s)
}

func TestLoad_AFlagBeatsTheEnvironmentWhichBeatsTheFile(t *testing.T) {
	yaml := "http: 127.0.0.1:1\nrpc: 127.0.0.1:2\nrack: r-file\ncapacity: 1073741824\n"
	env := []string{"TIERCEL_HTTP=127.0.0.1:3", "TIERCEL_RPC=127.0.0.1:4", "PATH=/bin"}
	s, err := load(t, yaml, env, "--http", "127.0.0.1:5", "--insecure")
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:5", s.HTTP)
	assert.Equal(t, "127.0.0.1:4", s.RPC)
	assert.Equal(t, "r-file", s.Rack)
	assert.Equal(t, int64(1<<30), s.Capacity)
	assert.True(t, s.Insecure)
}

func TestLoad_TheFileMayBeNamedByTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(path, []byte("dc: north\n"), 0o600))
	s, err := load(t, "", []string{"TIERCEL_CONFIG=" + path})
	require.NoError(t, err)
	assert.Equal(t, "north", s.DC)
}

func TestLoad_RefusesWhatCannotBeMeant(t *testing.T) {
	cases := []struct {
		name, yaml string
		env, args  []string
		want       string
	}{
		{name: "port out of range", args: []string{"--http", "127.0.0.1:70000"}, want: `http (--http): "127.0.0.1:70000" has no port between 0 and 65535`},
		{name: "no port", env: []string{"TIERCEL_RPC=localhost"}, want: `rpc (TIERCEL_RPC): "localhost" is not host:port`},
		{name: "disk type", args: []string{"--disk-type", "tape"}, want: `"tape" is not one of auto, nvme, ssd, hdd`},
		{name: "duration without unit", yaml: "heartbeat-interval: 30\n", want: `"30" is not a duration; write it with its unit`},
		{name: "duration too short", args: []string{"--heartbeat-interval", "1ms"}, want: "allowed is 50ms to 1h0m0s"},
		{name: "negative duration", args: []string{"--master-heartbeat-interval=-1s"}, want: "out of range"},
		{name: "capacity in words", args: []string{"--capacity", "plenty"}, want: `"plenty" is not a size`},
		{name: "capacity too small", args: []string{"--capacity", "1MiB"}, want: "the least is 64.0 MiB"},
		{name: "label with a space", args: []string{"--rack", "a b"}, want: "printable ASCII"},
		{name: "empty data directory", args: []string{"--data-dir", ""}, want: "must name a directory"},
		{name: "log level", args: []string{"--log-level", "verbose"}, want: "debug, info, warn, error"},
		{name: "log format", args: []string{"--log-format", "xml"}, want: "text, json"},
		{name: "profiles for the world", args: []string{"--pprof", "0.0.0.0:6060", "--insecure"}, want: "not on loopback"},
		{name: "every address", args: []string{"--http", ":8880"}, want: "add --insecure"},
		{name: "another machine's address", args: []string{"--rpc", "192.0.2.1:1"}, want: "rpc: 192.0.2.1:1 can be reached from other machines"},
		{name: "a name that may resolve to anything", args: []string{"--http", "box:1"}, want: "add --insecure"},
		{name: "one port for two", args: []string{"--http", "127.0.0.1:1", "--rpc", "127.0.0.1:1"}, want: "give each a port of its own"},
		{name: "advertised nowhere", args: []string{"--advertise", "0.0.0.0:1"}, want: "no host that other nodes could reach"},
		{name: "advertised port 0", args: []string{"--advertise", "a:0"}, want: "not 0"},
		{name: "key with a slip", yaml: "data_dri: x\n", want: `unknown key "data_dri"; did you mean data-dir?`},
		{name: "key with an underscore", yaml: "disk_type: ssd\n", want: "did you mean disk-type?"},
		{name: "part of a key", yaml: "heartbeat: 3s\n", want: "did you mean heartbeat-interval?"},
		{name: "key of a feature that is not there", yaml: "s3: a\n", want: `unknown key "s3"`},
		{name: "a file in the file", yaml: "config: x\n", want: `unknown key "config"`},
		{name: "key with a dot", yaml: "log.level: debug\n", want: `unknown key "log.level"; did you mean log-level?`},
		{name: "a map for a value", yaml: "http:\n  port: 1\n", want: "must be one plain value"},
		{name: "key twice", yaml: "dc: a\ndc: b\n", want: "already defined"},
		{name: "not a map", yaml: "- a\n", want: "is not a YAML map of settings"},
		{name: "a list", yaml: "- http: 127.0.0.1:1\n", want: "but a list; write one setting a line, as in \"http: 127.0.0.1:8880\""},
		{name: "a word", yaml: "http\n", want: "but one plain value; write one setting a line"},
		{name: "no YAML", yaml: "http: [\n", want: "cannot be read as YAML"},
		{name: "variable of a feature that is not there", env: []string{"TIERCEL_SHARDS=x"}, want: "unknown variable TIERCEL_SHARDS"},
		{name: "variable with a slip", env: []string{"TIERCEL_DATADIR=x"}, want: "did you mean TIERCEL_DATA_DIR?"},
		{name: "variable in lower case", env: []string{"TIERCEL_http=127.0.0.1:1"}, want: "did you mean TIERCEL_HTTP?"},
		{name: "no such file", args: []string{"--config", "/nonexistent.yaml"}, want: "there is no file /nonexistent.yaml"},
		{name: "a directory for a file", args: []string{"--config", "."}, want: ". is not a regular file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.yaml, c.env, c.args...)
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
			assert.NotContains(t, err.Error(), "!!", "no words of the library about its types")
			assert.Len(t, err, 1, "one mistake is one problem: %v", err)
		})
	}
}

func TestLoad_ReportsEveryProblemAtOnce(t *testing.T) {
	_, err := load(t, "colour: red\nhttp: nowhere\n", []string{"TIERCEL_RAK=1"}, "--disk-type", "tape", "--capacity", "x")
	require.Error(t, err)
	assert.Len(t, err, 5)
	for _, want := range []string{"5 problems", "colour", "nowhere", "TIERCEL_RAK", "tape", "capacity"} {
		assert.Contains(t, err.Error(), want)
	}
}

func TestLoad_TakesWhatIsRight(t *testing.T) {
	for _, args := range [][]string{
		{"--http", "[::1]:0", "--rpc", "localhost:0"},
		{"--http", "0.0.0.0:80", "--insecure"},
		{"--pprof", "127.0.0.1:0"},
		{"--advertise", "node-1.example:8892"},
		{"--capacity", "1.5TiB", "--disk-type", "nvme", "--log-level", "debug", "--log-format", "json"},
	} {
		_, err := load(t, "", nil, args...)
		assert.NoError(t, err, args)
	}
}

func TestLoad_IgnoresWhatTheVerbsAndKubernetesSet(t *testing.T) {
	_, err := load(t, "", []string{
		"TIERCEL_SERVER=http://x", "TIERCEL_TENANT=a", "TIERCEL_SERVICE_HOST=10.0.0.1", "TIERCEL_SERVICE_PORT_HTTP=80",
		"TIERCEL_PORT=tcp://10.0.0.1:80", "TIERCEL_PORT_80_TCP_ADDR=10.0.0.1",
	})
	require.NoError(t, err)
	_, err = load(t, "", []string{"TIERCEL_HTTP_PORT=8880"})
	require.Error(t, err)
}

// Labels decide failure domains: the file and the flag must mean the same.
func TestLoad_ValuesOfTheFileAreItsText(t *testing.T) {
	for _, text := range []string{"010", "07", "0o17", "0x10", "1e3", "1.10", "2026-01-01", "yes", "1_000", `"010"`} {
		got, err := load(t, "rack: "+text+"\n", nil)
		require.NoError(t, err, text)
		assert.Equal(t, strings.Trim(text, `"`), got.Rack)
	}
	for _, yaml := range []string{"rack:\n", "rack: null\n", "join: [a:1, b:1]\n"} {
		_, err := load(t, yaml, nil)
		require.Error(t, err)
		assert.Contains(t, err.Error(), "a list is one text with commas")
	}
}

func TestParseBytes_ReadsSizesAsPeopleWriteThem(t *testing.T) {
	good := map[string]int64{"0": 0, "4096": 4096, "10GiB": 10 << 30, "1.5 KiB": 1536, "2tb": 2e12, "7B": 7, "9223372036854775807": 1<<63 - 1}
	for text, want := range good {
		got, err := ParseBytes(text)
		assert.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "GiB", "-1", "-1GiB", "10G", "1e9", "0x10", "NaN", "Inf", "infB", "99999PiB", "1_000", "9223372036854775808", "0.4", "1.5B", "0.0001KiB"} {
		_, err := ParseBytes(text)
		assert.Error(t, err, text)
	}
}

func TestFormatBytes_KeepsToOneDecimal(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 5 << 40: "5.0 TiB"} {
		assert.Equal(t, want, FormatBytes(n))
	}
	assert.False(t, strings.Contains(FormatBytes(1<<62), "1024"))
}

func TestLoad_BeyondLoopbackBothAuthenticationAndTLSAreWantedUnlessInsecure(t *testing.T) {
	const tokens, secret, mutual = "--auth-tokens FILE, made by", "--tls-cert and --tls-key FILE, made by", "--tls-cert, --tls-key and --tls-ca FILE, made by"
	all := []string{"--auth-tokens=t", "--tls-cert=c", "--tls-key=k", "--tls-ca=a"}
	open := []string{"--http=0.0.0.0:1", "--rpc=0.0.0.0:2"}
	for _, c := range []struct {
		name  string
		args  []string
		lacks []string // nil: it is taken
	}{
		{"loopback", nil, nil},
		{"all of it", append(append([]string{}, open...), all...), nil},
		{"nothing", open, []string{tokens, secret, mutual}},
		{"nothing, insecure", append([]string{"--insecure"}, open...), nil},
		{"no tokens", append(append([]string{}, open...), all[1:]...), []string{tokens}},
		{"tokens alone", append(append([]string{}, open...), all[:1]...), []string{secret, mutual}},
		{"no authority of other nodes", append(append([]string{}, open...), all[:3]...), []string{mutual}},
		{"no other nodes", append([]string{"--http=0.0.0.0:1"}, all[:3]...), nil},
		{"only other nodes", append([]string{"--rpc=10.1.2.3:2"}, all[1:]...), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, "", nil, c.args...)
			if c.lacks == nil {
				assert.NoError(t, err)
				return
			}
			require.Error(t, err)
			for _, text := range []string{tokens, secret, mutual} {
				assert.Equal(t, slices.Contains(c.lacks, text), strings.Contains(err.Error(), text), "%q in %v", text, err)
			}
			assert.Contains(t, err.Error(), "add --insecure")
		})
	}
	s, err := load(t, "", nil, append([]string{"--insecure", "--tls-cert=c", "--tls-key=k"}, open...)...)
	require.NoError(t, err)
	assert.Contains(t, s.Exposed(), tokens)
	assert.NotContains(t, s.Exposed(), secret)
}

func TestWarnings_SayWhoCanSpeakToANodePastItsTokens(t *testing.T) {
	mutual := []string{"--auth-tokens=t", "--tls-cert=c", "--tls-key=k", "--tls-ca=a"}
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"loopback without tokens", nil, nil},
		{"loopback with tokens", []string{"--auth-tokens=t"}, []string{"tokens guard --http only", "--tls-ca"}},
		{"loopback with tokens and half of TLS", mutual[:3], []string{"tokens guard --http only"}},
		{"loopback with all of it", mutual, nil},
		{"open and insecure", []string{"--insecure", "--http=0.0.0.0:1", "--rpc=0.0.0.0:2"}, []string{"as --insecure allows", "without authentication", "mutual TLS"}},
		{"open with all of it", append([]string{"--http=0.0.0.0:1", "--rpc=0.0.0.0:2", "--insecure"}, mutual...), nil},
	} {
		s, err := load(t, "", nil, c.args...)
		require.NoError(t, err, c.name)
		if c.says == nil {
			assert.Empty(t, s.Warnings(), c.name)
			continue
		}
		require.Len(t, s.Warnings(), 1, c.name)
		for _, say := range c.says {
			assert.Contains(t, s.Warnings()[0], say, c.name)
		}
	}
}
