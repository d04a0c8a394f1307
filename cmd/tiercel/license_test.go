package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/version"
)

// file writes a text to a new file.
func (c *cli) file(name, text string) string {
	path := filepath.Join(c.t.TempDir(), name)
	require.NoError(c.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLicense_EveryLevelCanBeIssuedAndVerifiedWithoutAServer(t *testing.T) {
	c := newCLI(t)
	for level, workers := range map[string]string{"free": "1", "standard": "2", "professional": "5", "enterprise": "unlimited"} {
		text := c.must("license", "issue", "--level", level, "--id", "l-1", "--expires", "2099-01-01T00:00:00Z")
		out := lines(c.must("license", "verify", c.file("license.txt", text)))
		assert.Contains(t, out, "level "+level+"\nstate active\nid l-1\n", level)
		assert.Contains(t, out, "expires 2099-01-01T00:00:00Z (valid through 2098-12-31T23:59:59Z)\nuse development, signed with key ", level)
		assert.Contains(t, out, "workers "+workers, level)
	}
	c.stdin = c.must("license", "issue", "--level", "enterprise", "--max-workers", "7", "--cluster", "c-1")
	out := c.must("license", "verify", "-", "--output", "json")
	assert.Contains(t, out, `"max_workers":7`)
	assert.Contains(t, out, `"cluster":"c-1"`)
	assert.Contains(t, out, `"development":true`)
}

func TestLicense_ADateIsTheLastDayOfALicenceAndTheFirstOne(t *testing.T) {
	c := newCLI(t)
	for expires, k := range map[string]struct{ text, through string }{
		"2099-01-31":                {"2099-02-01T00:00:00Z", "2099-01-31T23:59:59Z"},
		"2096-02-29":                {"2096-03-01T00:00:00Z", "2096-02-29T23:59:59Z"},
		"2099-12-31":                {"2100-01-01T00:00:00Z", "2099-12-31T23:59:59Z"},
		"2099-01-31T12:00:00Z":      {"2099-01-31T12:00:00Z", "2099-01-31T11:59:59Z"},
		"2099-01-31T12:00:00+02:00": {"2099-01-31T10:00:00Z", "2099-01-31T09:59:59Z"},
	} {
		o := c.run("license", "issue", "--level", "standard", "--id", "l-1", "--valid-from", "2026-01-02", "--expires", expires)
		require.Equal(t, exitDone, o.status, o.stderr)
		assert.Contains(t, o.stdout, "\nissued: 2026-01-02T00:00:00Z\nexpires: "+k.text+"\n", expires)
		assert.Equal(t, "the licence l-1 (standard) is valid from 2026-01-02T00:00:00Z through "+k.through+"\n", o.stderr, expires)
		assert.Contains(t, lines(c.must("license", "verify", c.file("license.txt", o.stdout))), "expires "+k.text+" (valid through "+k.through+")", expires)
	}
	text := c.must("license", "issue", "--level", "standard", "--valid-from", "2099-01-01T00:00:00Z", "--valid-for", "2h")
	assert.Contains(t, text, "\nexpires: 2099-01-01T02:00:00Z\n", "from then on")
	o := c.run("license", "verify", c.file("license.txt", text))
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "is valid from 2099-01-01T00:00:00Z on")
}

func TestLicense_VerifyEndsWithStatus1AndSaysWhatIsWrong(t *testing.T) {
	c := newCLI(t)
	text := c.must("license", "issue", "--level", "standard")
	ended := c.must("license", "issue", "--level", "standard", "--valid-for", "1s")
	for name, k := range map[string]struct{ text, says string }{
		"forged":    {strings.Replace(text, "level: standard", "level: enterprise", 1), "changed after it was signed"},
		"truncated": {text[:len(text)-20], "copy the whole file"},
		"foreign":   {strings.Replace(text, "key: ", "key: 00", 1), "for another product or build"},
		"nonsense":  {"hello", "no licence"},
		"too long":  {text + strings.Repeat("\n", 5000), "at most 4096"},
	} {
		o := c.run("license", "verify", c.file("license.txt", k.text))
		assert.Equal(t, exitFailed, o.status, name)
		assert.Contains(t, o.stderr, k.says, name)
	}
	require.Eventually(t, func() bool {
		o := c.run("license", "verify", c.file("license.txt", ended))
		return o.status == exitFailed && strings.Contains(o.stderr, "expired at")
	}, 10*time.Second, 100*time.Millisecond)
	assert.Equal(t, exitFailed, c.run("license", "verify", filepath.Join(t.TempDir(), "none")).status)
}

func TestLicense_AKeyPairOfOnesOwnIsForeignToADevelopmentProgram(t *testing.T) {
	c := newCLI(t)
	key := filepath.Join(t.TempDir(), "release.key")
	public := strings.TrimSpace(c.must("license", "keygen", "--out", key))
	assert.Len(t, public, 44, "32 bytes in base64")
	info, err := os.Stat(key)
	require.NoError(t, err)
	assert.EqualValues(t, 0o600, info.Mode().Perm())
	assert.Equal(t, exitFailed, c.run("license", "keygen", "--out", key).status, "a key is never overwritten")
	text := c.must("license", "issue", "--level", "enterprise", "--customer", "Example GmbH", "--key", key)
	assert.Contains(t, text, "\nuse: production\n")
	o := c.run("license", "verify", c.file("license.txt", text))
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "for another product or build")
	o = c.run("license", "issue", "--level", "standard", "--key", c.file("bad.key", "no key"))
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "holds no Ed25519 private key")
}

func TestLicense_WrongUseEndsWithStatus2(t *testing.T) {
	c := newCLI(t)
	for line, says := range map[string]string{
		"license":                    "what to do is missing",
		"license issue":              "--level LEVEL is missing: free, standard, professional or enterprise",
		"license issue --level gold": `tiercel: the level "gold" is not known to this program; there are free, standard, professional and enterprise`,
		"license issue --level standard --expires tomorrow":                           `--expires "tomorrow" is not a time such as 2027-12-31T00:00:00Z, nor a date such as 2027-12-31`,
		"license issue --level standard --expires 2027-02-30":                         "is not a time such as",
		"license issue --level standard --valid-from soon":                            `--valid-from "soon" is not a time such as`,
		"license issue --level standard --expires 2099-01-31 --valid-for 1h":          "give one of them",
		"license issue --level standard --valid-for 8760h --expires 2099-01-31":       "give one of them",
		"license issue --level standard --valid-from 2099-01-02 --expires 2099-01-01": "not after it was issued",
		"license issue --level standard --max-workers 9":                              "is not below what the level standard has",
		"license issue --level standard --valid-for -1h":                              "not after it was issued",
		"license verify":           "one FILE wanted",
		"license install":          "one FILE wanted",
		"license keygen":           "--out FILE is missing",
		"dev --license-level gold": "none of free, standard, professional and enterprise",
	} {
		o := c.run(strings.Fields(line)...)
		assert.Equal(t, exitUsage, o.status, line)
		assert.Contains(t, o.stderr, says, line)
	}
}

func TestLicense_IsShownAndInstalledInACluster(t *testing.T) {
	c := newCLI(t)
	const doc = `{"level":"standard","state":"active","id":"l-1","customer":"Example","issued_at":"a","expires_at":"b","development":false,"key":"0011","cluster":"c-1","max_workers":2,"workers":1,
	 "features":{"data_workers":2,"storage_clustering":true,"tiered_replication":[2,3],"synchronous_replication":false,"tenant_quotas":true},"warnings":["it ends soon"]}`
	c.server.Say("GET /license", said(doc))
	c.server.Say("PUT /license", said(doc))
	want := `level standard
state active
id l-1
customer Example
issued a
expires b
use production, signed with key 0011
cluster c-1, the only one that may use it
workers 1 of 2
feature storage clustering: yes
feature tiered replication: tiers 2, 3
feature synchronous replication (tier 1): no
feature per-tenant quotas: yes
warning it ends soon`
	assert.Equal(t, want, lines(c.must("license", "show")))
	text := c.must("license", "issue", "--level", "standard")
	assert.Equal(t, want, lines(c.must("license", "install", c.file("license.txt", text))))
	assert.Equal(t, text, c.server.Asked[len(c.server.Asked)-1].Body)
	assert.JSONEq(t, doc, c.must("license", "show", "--output", "json"))
}

func TestLicense_AProgramBuiltWithAReleaseKeyTakesItsOwnAndNoDevelopmentLicences(t *testing.T) {
	c := newCLI(t)
	key := filepath.Join(t.TempDir(), "release.key")
	built := version.LicenseKey
	t.Cleanup(func() { version.LicenseKey = built })
	public := strings.TrimSpace(c.must("license", "keygen", "--out", key))
	development := c.must("license", "issue", "--level", "enterprise")
	own := c.must("license", "issue", "--level", "professional", "--customer", "Example GmbH", "--key", key)

	version.LicenseKey = public
	assert.Contains(t, c.must("license", "verify", c.file("license.txt", own)), "use          production")
	o := c.run("license", "verify", c.file("license.txt", development))
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "this is a development licence")
	o = c.run("dev", "--nodes", "2", "--data-dir", t.TempDir())
	assert.Equal(t, exitUsage, o.status)
	assert.Contains(t, o.stderr, "name a licence with --license FILE")

	version.LicenseKey = "not a key"
	o = c.run("license", "verify", c.file("license.txt", development))
	assert.Equal(t, exitFailed, o.status, "it believes nobody")
	assert.Contains(t, o.stderr, "build it again with the right one")
}
