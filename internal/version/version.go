package version

import (
	"runtime/debug"
	"strings"
)

// Version is the release, set by the linker:
// -ldflags "-X tiercel/internal/version.Version=1.2.3". Other builds are "dev".
var Version = "dev"

// LicenseKey is the public key, in base64, whose licences this program believes, set by
// the linker: -ldflags "-X tiercel/internal/version.LicenseKey=…". Empty: the development
// key (cluster/license/signed).
var LicenseKey = ""

// Info is what is known about the running binary. Fields are empty when the
// build did not record them (go test, or a build outside a checkout).
type Info struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`   // full hash
	Time     string `json:"time"`     // of the commit, RFC 3339 UTC
	Modified bool   `json:"modified"` // the checkout had changes that were not committed
	Go       string `json:"go"`       // toolchain, such as go1.26.8
	Platform string `json:"platform"` // os/arch
}

// Get describes the running binary.
func Get() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return describe(Version, build)
}

// String is Get on one line, for people:
// "1.2.3 (commit 0123456789ab, modified, go1.26.8, linux/amd64)".
func String() string { return Get().String() }

// String renders what is known on one line.
func (i Info) String() string {
	var facts []string
	if i.Commit != "" {
		facts = append(facts, "commit "+i.Commit[:min(12, len(i.Commit))])
	}
	if i.Modified {
		facts = append(facts, "modified")
	}
	for _, fact := range []string{i.Go, i.Platform} {
		if fact != "" {
			facts = append(facts, fact)
		}
	}
	if len(facts) == 0 {
		return i.Version
	}
	return i.Version + " (" + strings.Join(facts, ", ") + ")"
}

// describe reads the settings that the go command records.
func describe(version string, build *debug.BuildInfo) Info {
	info := Info{Version: version, Go: build.GoVersion}
	var goos, goarch string
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.time":
			info.Time = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		case "GOOS":
			goos = s.Value
		case "GOARCH":
			goarch = s.Value
		}
	}
	if goos != "" && goarch != "" {
		info.Platform = goos + "/" + goarch
	}
	return info
}
