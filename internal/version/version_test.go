package version

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestInfo_SaysWhatTheBuildRecorded(t *testing.T) {
	build := func(settings ...string) *debug.BuildInfo {
		b := &debug.BuildInfo{GoVersion: "go1.99"}
		for i := 0; i < len(settings); i += 2 {
			b.Settings = append(b.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return b
	}
	for _, c := range []struct {
		name  string
		build *debug.BuildInfo
		want  string
	}{
		{"nothing recorded", &debug.BuildInfo{}, "1.2.3"},
		{"outside a checkout", build(), "1.2.3 (go1.99)"},
		{
			"a clean checkout",
			build("vcs.revision", "0123456789abcdef", "vcs.modified", "false", "GOOS", "linux", "GOARCH", "arm64"),
			"1.2.3 (commit 0123456789ab, go1.99, linux/arm64)",
		},
		{"a changed checkout", build("vcs.revision", "0123", "vcs.modified", "true"), "1.2.3 (commit 0123, modified, go1.99)"},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, describe("1.2.3", c.build).String()) })
	}
}

func TestString_BeginsWithTheVersionTheLinkerSet(t *testing.T) {
	assert.True(t, strings.HasPrefix(String(), Version), String())
	assert.NotEmpty(t, Get().Go)
}
