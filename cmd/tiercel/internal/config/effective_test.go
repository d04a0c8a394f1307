package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExample_LoadsAsItIsAndWithEveryLineUncommented(t *testing.T) {
	want, err := load(t, "", nil)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"as it is":    Example(),
		"uncommented": regexp.MustCompile(`(?m)^#([a-z-]+: )`).ReplaceAllString(Example(), "$1"),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := load(t, text, nil)
			require.NoError(t, err)
			assert.Equal(t, want, got, "the defaults")
			layers, problems := loadLayers(pflag.NewFlagSet("", pflag.ContinueOnError), []string{"TIERCEL_CONFIG=" + fileWith(t, text)})
			require.Empty(t, problems)
			set := 0
			if name == "uncommented" {
				set = len(settings)
			}
			assert.Len(t, layers[2].values.Keys(), set, "every setting is in it, once")
		})
	}
}

func fileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiercel.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestExample_SaysOfEverySettingWhatItMeansAndItsVariable(t *testing.T) {
	text := Example()
	for _, s := range settings {
		assert.Contains(t, text, "# "+EnvName(s.name)+"\n#"+s.name+": ", s.name)
	}
	for _, line := range strings.Split(text, "\n") {
		assert.LessOrEqual(t, len(line), 100, line)
		assert.NotContains(t, line, "`")
	}
}

func TestSettings_EachFieldOfTheStructureIsSetByOne(t *testing.T) {
	// Values that differ from the defaults, so that a field that nothing sets stays behind.
	flags := map[string]string{
		"data-dir": "/d", "http": "127.0.0.1:1", "rpc": "127.0.0.1:2", "advertise": "a:3", "join": "b:4", "capacity": "1GiB",
		"discovery": "etcd", "discovery-address": "e:5", "discovery-name": "n", "found": "true", "failover": "false", "disk-type": "ssd",
		"heartbeat-interval": "1s", "master-heartbeat-interval": "1s", "log-level": "warn", "log-format": "json", "pprof": "127.0.0.1:6", "insecure": "true",
	}
	var before, after Server
	for _, s := range settings {
		value, given := flags[s.name]
		if !given {
			value = "x"
		}
		assert.NotEmpty(t, s.usage, s.name)
		require.NoError(t, s.parse(&before, s.value), s.name)
		if err := s.parse(&after, value); err != nil && given {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	assert.Empty(t, equalFields(reflect.ValueOf(before), reflect.ValueOf(after), ""))
}

// equalFields names the fields of two structures that hold the same.
func equalFields(a, b reflect.Value, prefix string) (same []string) {
	for i := range a.NumField() {
		name := prefix + a.Type().Field(i).Name
		switch {
		case a.Field(i).Kind() == reflect.Struct:
			same = append(same, equalFields(a.Field(i), b.Field(i), name+".")...)
		case reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			same = append(same, name)
		}
	}
	return same
}

func explain(t *testing.T, yaml string, environ []string, args ...string) map[string]Effective {
	t.Helper()
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	AddFlags(flags)
	require.NoError(t, flags.Parse(append(args, "--config", fileWith(t, yaml))))
	list, err := Explain(flags, environ)
	require.NoError(t, err)
	assert.Len(t, list, len(settings))
	out := map[string]Effective{}
	for _, e := range list {
		out[e.Name] = e
	}
	return out
}

func TestExplain_NamesTheSourceThatWon(t *testing.T) {
	got := explain(t, "http: 127.0.0.1:1\nrpc: 127.0.0.1:2\nrack: r\n", []string{"TIERCEL_HTTP=127.0.0.1:3", "TIERCEL_RPC=127.0.0.1:4"}, "--http", "127.0.0.1:5")
	assert.Equal(t, Effective{"http", "127.0.0.1:5", "--http"}, got["http"])
	assert.Equal(t, Effective{"rpc", "127.0.0.1:4", "TIERCEL_RPC"}, got["rpc"])
	assert.Equal(t, "r", got["rack"].Value)
	assert.True(t, strings.HasSuffix(got["rack"].Source, "tiercel.yaml"), got["rack"].Source)
	assert.Equal(t, Effective{"log-level", "info", "default"}, got["log-level"])
}

func TestWithFlagError_TellsTheOtherProblemsToo(t *testing.T) {
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	AddFlags(flags)
	parsing := flags.Parse([]string{"--disk-type", "tape", "--htpp", "x"})
	require.Error(t, parsing)
	err := WithFlagError(parsing, flags, []string{"TIERCEL_RAK=1"})
	for _, want := range []string{"3 problems", "htpp", "tape", "TIERCEL_RAK; did you mean TIERCEL_RACK?"} {
		assert.ErrorContains(t, err, want)
	}
	assert.Equal(t, parsing, WithFlagError(parsing, pflag.NewFlagSet("", pflag.ContinueOnError), nil))
}

func TestUnknownVariables_AreThoseThatAreNearlyAVerbs(t *testing.T) {
	require.NoError(t, UnknownVariables([]string{
		"TIERCEL_SERVER=x", "TIERCEL_TENANT=a", "TIERCEL_RPC=1", "TIERCEL_CONFIG=f", "TIERCEL_BACKUP_BUCKET=somebody's", "PATH=/bin", "TIERCEL_SERVICE_HOST=1"}))
	err := UnknownVariables([]string{"TIERCEL_SEVER=x", "TIERCEL_server=y"})
	assert.ErrorContains(t, err, "unknown variable TIERCEL_SEVER; did you mean TIERCEL_SERVER?")
	assert.ErrorContains(t, err, "TIERCEL_server; did you mean TIERCEL_SERVER?")
}
