package tokens_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"tiercel/cluster/access"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/tokens"
)

var hash = strings.Repeat("ab", 32)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestRead_TakesWhatIsDocumented(t *testing.T) {
	table, err := tokens.Read(write(t, `
# people
tokens:
  - name: trainer   # of the lab
    role: read-write
    tenant: acme
    expires: 2027-01-01T00:00:00+02:00
    sha256: `+hash+`
  - {name: ops, role: admin, cluster: true, expires: 2028-02-03, sha256: `+strings.Repeat("cd", 32)+`}
`))
	require.NoError(t, err)
	entries := table.Entries()
	require.Len(t, entries, 2)
	assert.Equal(t, model.Principal{Name: "trainer", Role: model.RoleReadWrite, Tenant: "acme"}, entries[0].Principal())
	assert.Equal(t, "2026-12-31T22:00:00Z", entries[0].Expires.UTC().Format(time.RFC3339))
	assert.Equal(t, hash, entries[0].Hash.String())
	assert.Equal(t, model.Principal{Name: "ops", Role: model.RoleAdmin}, entries[1].Principal())
	assert.Equal(t, "2028-02-03T00:00:00Z", entries[1].Expires.UTC().Format(time.RFC3339))

	nobody, err := tokens.Read(write(t, "tokens: []\n"))
	require.NoError(t, err)
	assert.Empty(t, nobody.Entries())
}

func TestRead_RefusesAFileAsAWholeAndListsAllProblems(t *testing.T) {
	one := func(fields string) string { return "tokens:\n  - {" + fields + "}\n" }
	good := "name: a, role: admin, cluster: true, sha256: " + hash
	for _, c := range []struct {
		name, text string
		says       []string
	}{
		{"empty", "", []string{"it is empty"}},
		{"no YAML", "tokens: [", []string{"yaml"}},
		{"another document", "tokens: []\n---\ntokens: []\n", []string{"goes on"}},
		{"an unknown field", one(good + ", rol: admin"), []string{"field rol not found"}},
		{"an unknown top field", "tokens: []\nusers: []\n", []string{"field users not found"}},
		{"a secret instead of a hash", one("name: a, role: admin, cluster: true, sha256: tiercel_abc"), []string{"64 hexadecimal digits"}},
		{"a plain token", one(good + ", token: tiercel_abc"), []string{"field token not found"}},
		{"no hash", one("name: a, role: admin, cluster: true"), []string{"sha256: the hash of the token is missing"}},
		{"an odd end", one(good + ", expires: soon"), []string{`"soon" is neither a time`}},
		{"an impossible day", one(good + ", expires: 2027-02-30"), []string{`"2027-02-30" is neither`}},
		{"the same name twice", one(good) + "  - {" + good + "}\n", []string{"the name is given twice", "same hash"}},
		{"many at once", one("name: a, role: root, sha256: xyz, expires: never") + "  - {role: admin, tenant: A, sha256: " + hash + "}\n",
			[]string{"64 hexadecimal", `"never" is neither`, `"root" is not one of`, "give the tenant", "name:", "tenant:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tokens.Read(write(t, c.text))
			var problems *tokens.Problems
			require.ErrorAs(t, err, &problems)
			assert.Len(t, problems.List, len(c.says), "%v", err)
			for _, say := range c.says {
				assert.ErrorContains(t, err, say)
			}
		})
	}
	path := write(t, "tokens: []\n")
	require.NoError(t, os.Chmod(path, 0o666))
	_, err := tokens.Read(path)
	assert.ErrorContains(t, err, "chmod o-w")
	_, err = tokens.Read(path + ".gone")
	assert.ErrorContains(t, err, "tiercel token create")
	_, err = tokens.Read(t.TempDir())
	assert.ErrorContains(t, err, "not a regular file")
}

// A file of another kind may be a secret itself, pasted where the file's name belongs.
func TestRead_RepeatsNothingOfAFileOfAnotherKind(t *testing.T) {
	for _, text := range []string{"tiercel_verysecretindeed", "[tiercel_verysecretindeed]", "tokens: tiercel_verysecretindeed", "tokens: [tiercel_verysecretindeed]"} {
		_, err := tokens.Read(write(t, text))
		require.Error(t, err, text)
		assert.NotContains(t, err.Error(), "tiercel_", text)
		assert.NotContains(t, err.Error(), "!!", text)
		assert.Contains(t, err.Error(), "below it a list", text)
	}
}

func TestLive_ABadFileLeavesTheTokensInForceAndWarns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	secret, err := access.NewSecret(strings.NewReader(strings.Repeat("s", 32)))
	require.NoError(t, err)
	h, err := access.HashOf(secret)
	require.NoError(t, err)
	require.NoError(t, tokens.Add(path, access.Entry{Name: "a", Hash: h, Role: model.RoleAdmin, Cluster: true}))
	live, err := tokens.Open(path)
	require.NoError(t, err)
	assert.Empty(t, live.Warnings())

	good, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("tokens:\n  - {name: b}\n"), 0o600))
	changes, err := live.Reload()
	require.Error(t, err)
	assert.True(t, changes.None())
	_, err = live.Identify(secret, time.Now())
	assert.NoError(t, err, "what was in force stays")
	require.Len(t, live.Warnings(), 1)
	assert.Contains(t, live.Warnings()[0], "role:")

	require.NoError(t, os.WriteFile(path, []byte("tokens: []\n"), 0o600))
	changes, err = live.Reload()
	require.NoError(t, err)
	assert.Equal(t, "revoked a", changes.String())
	_, err = live.Identify(secret, time.Now())
	assert.Error(t, err, "a good file without it revokes it")
	assert.Empty(t, live.Warnings())
	require.NoError(t, os.WriteFile(path, good, 0o600))
	changes, err = live.Reload()
	require.NoError(t, err)
	assert.Equal(t, "added a (admin of the cluster)", changes.String())
	_, err = live.Identify(secret, time.Now())
	assert.NoError(t, err)
}

func TestEdit_KeepsWhatPeopleWroteAndChangesNothingThatIsWrong(t *testing.T) {
	path := write(t, "# of the lab\ntokens:\n  - name: a # Ada\n    role: admin\n    cluster: true\n    sha256: "+hash+"\n")
	require.NoError(t, os.Chmod(path, 0o640))
	entry := access.Entry{Name: "b", Role: model.RoleReadOnly, Tenant: "acme", Hash: access.Hash{1}, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	require.NoError(t, tokens.Add(path, entry))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(text), "# of the lab")
	assert.Contains(t, string(text), "# Ada")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	table, err := tokens.Read(path)
	require.NoError(t, err)
	require.Len(t, table.Entries(), 2)
	assert.Equal(t, entry, table.Entries()[1])

	err = tokens.Add(path, entry)
	assert.Equal(t, model.CodeConflict, model.CodeOf(err))
	require.ErrorContains(t, err, `has a token "b" already`)
	require.ErrorContains(t, err, "tiercel token revoke b --file "+path, "how to replace it")
	require.NoError(t, tokens.Remove(path, "a"))
	table, err = tokens.Read(path)
	require.NoError(t, err)
	require.Len(t, table.Entries(), 1)
	err = tokens.Remove(path, "a")
	assert.Equal(t, model.CodeNotFound, model.CodeOf(err))
	require.ErrorContains(t, err, "'tiercel token list --file "+path+"'")

	require.NoError(t, os.WriteFile(path, []byte("tokens:\n  - {name: x}\n"), 0o600))
	assert.ErrorContains(t, tokens.Add(path, entry), "not changed before it is right")
	left, err := filepath.Glob(path + ".new-*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

// Each edit is made of what the file says then: nothing that was added is lost, and
// nothing that was revoked comes back.
func TestEdit_ManyAtOnceLoseNothing(t *testing.T) {
	const people = 24
	name := func(kind string, i int) string { return fmt.Sprintf("%s-%d", kind, i) }
	entry := func(name string) access.Entry {
		return access.Entry{Name: name, Role: model.RoleReadOnly, Tenant: "acme", Hash: sha256.Sum256([]byte(name))}
	}
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	for i := range people {
		require.NoError(t, tokens.Add(path, entry(name("old", i))))
	}
	var edits errgroup.Group
	for i := range people {
		edits.Go(func() error { return tokens.Add(path, entry(name("new", i))) })
		edits.Go(func() error { return tokens.Remove(path, name("old", i)) })
	}
	require.NoError(t, edits.Wait())
	table, err := tokens.Read(path)
	require.NoError(t, err)
	var want, got []string
	for i := range people {
		want = append(want, name("new", i))
	}
	for _, e := range table.Entries() {
		got = append(got, e.Name)
	}
	assert.ElementsMatch(t, want, got, "every edit that said it was done was done")
}

func TestEdit_ChangesTheFileBehindALinkAndLeavesTheLink(t *testing.T) {
	path := write(t, "tokens: []\n")
	link := filepath.Join(t.TempDir(), "link.yaml")
	require.NoError(t, os.Symlink(path, link))
	require.NoError(t, tokens.Add(link, access.Entry{Name: "a", Role: model.RoleAdmin, Cluster: true, Hash: access.Hash{1}}))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.Equal(t, os.ModeSymlink, info.Mode().Type(), "the link is still one")
	table, err := tokens.Read(path)
	require.NoError(t, err)
	assert.Len(t, table.Entries(), 1)
	require.NoError(t, tokens.Remove(link, "a"))
	table, err = tokens.Read(path)
	require.NoError(t, err)
	assert.Empty(t, table.Entries())

	require.NoError(t, os.Remove(path))
	assert.ErrorContains(t, tokens.Remove(link, "a"), "a link to a file that is not there")
}
