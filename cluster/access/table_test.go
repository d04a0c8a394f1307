package access_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/access"
	"tiercel/cluster/model"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// secretOf makes the n-th secret.
func secretOf(t *testing.T, n byte) (string, access.Hash) {
	t.Helper()
	secret, err := access.NewSecret(bytes.NewReader(bytes.Repeat([]byte{n}, 32)))
	require.NoError(t, err)
	hash, err := access.HashOf(secret)
	require.NoError(t, err)
	return secret, hash
}

func TestSecret_IsHashedAndReadBackInOneForm(t *testing.T) {
	secret, hash := secretOf(t, 1)
	assert.True(t, strings.HasPrefix(secret, "tiercel_"))
	assert.Len(t, secret, len("tiercel_")+43)
	back, err := access.ParseHash(hash.String())
	require.NoError(t, err)
	assert.Equal(t, hash, back)
	for _, bad := range []string{"", "tiercel_", "password", secret[:len(secret)-1], secret + "A", "Tiercel_" + secret[8:], secret[:len(secret)-1] + "!"} {
		_, err := access.HashOf(bad)
		assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), bad)
	}
	for _, bad := range []string{"", "12", hash.String() + "00", strings.Repeat("zz", 32)} {
		_, err := access.ParseHash(bad)
		assert.Error(t, err, bad)
	}
	_, err = access.NewSecret(strings.NewReader("too few"))
	assert.Error(t, err)
}

func TestTable_KnowsABearerByTheSecretAndUntilItExpires(t *testing.T) {
	first, hash1 := secretOf(t, 1)
	second, hash2 := secretOf(t, 2)
	unknown, _ := secretOf(t, 3)
	table, problems := access.NewTable([]access.Entry{
		{Name: "trainer", Hash: hash1, Role: model.RoleReadWrite, Tenant: "acme", Expires: now},
		{Name: "ops", Hash: hash2, Role: model.RoleAdmin, Cluster: true},
	})
	require.Empty(t, problems)
	for _, c := range []struct {
		name, secret string
		at           time.Time
		who          string // empty: unauthenticated
		says         string
	}{
		{"before it expires", first, now.Add(-time.Nanosecond), "trainer", ""},
		{"when it expires", first, now, "", "has expired at 2026-03-04T05:06:07Z"},
		{"long after", first, now.AddDate(1, 0, 0), "", "has expired"},
		{"one without an end", second, now.AddDate(100, 0, 0), "ops", ""},
		{"one that nobody made", unknown, now, "", "not known"},
		{"another first letter", "tiercel_B" + second[9:], now, "", "not known"},
		{"no token at all", "hunter2", now, "", "not a token of Tiercel"},
		{"the hash instead of the secret", hash2.String(), now, "", "not a token of Tiercel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			who, err := table.Identify(c.secret, c.at)
			if c.who == "" {
				require.Error(t, err)
				assert.Nil(t, who)
				assert.Equal(t, model.CodeUnauthenticated, model.CodeOf(err))
				assert.ErrorContains(t, err, c.says)
				assert.NotContains(t, err.Error(), c.secret)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.who, who.Name)
		})
	}
	who, err := table.Identify(second, now)
	require.NoError(t, err)
	assert.Equal(t, model.Principal{Name: "ops", Role: model.RoleAdmin}, *who)
}

func TestNewTable_ListsAllThatIsWrongAndMakesNone(t *testing.T) {
	_, hash := secretOf(t, 1)
	_, other := secretOf(t, 2)
	good := access.Entry{Name: "good", Hash: hash, Role: model.RoleAdmin, Cluster: true}
	for _, c := range []struct {
		name  string
		entry access.Entry
		says  []string
	}{
		{"all missing", access.Entry{}, []string{"name:", "role:", "tenant", "sha256:"}},
		{"unknown role", access.Entry{Name: "a", Hash: other, Role: "root", Cluster: true}, []string{`"root" is not one of read-only`}},
		{"both scopes", access.Entry{Name: "a", Hash: other, Role: model.RoleAdmin, Tenant: "x", Cluster: true}, []string{"not both"}},
		{"no scope", access.Entry{Name: "a", Hash: other, Role: model.RoleAdmin}, []string{"give the tenant"}},
		{"bad tenant", access.Entry{Name: "a", Hash: other, Role: model.RoleAdmin, Tenant: "A B"}, []string{"tenant:"}},
		{"bad name", access.Entry{Name: "a\nb", Hash: other, Role: model.RoleAdmin, Cluster: true}, []string{"printable ASCII"}},
		{"the name of a node's own lines", access.Entry{Name: "node", Hash: other, Role: model.RoleAdmin, Cluster: true}, []string{"choose another"}},
		{"the name of everybody's lines", access.Entry{Name: "anybody", Hash: other, Role: model.RoleAdmin, Cluster: true}, []string{"choose another"}},
		{"the same name", access.Entry{Name: "good", Hash: other, Role: model.RoleAdmin, Cluster: true}, []string{"name is given twice"}},
		{"the same secret", access.Entry{Name: "a", Hash: hash, Role: model.RoleAdmin, Cluster: true}, []string{"same hash"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, problems := access.NewTable([]access.Entry{good, c.entry})
			assert.Nil(t, table)
			assert.Len(t, problems, len(c.says))
			for i := range min(len(problems), len(c.says)) {
				assert.ErrorContains(t, problems[i], c.says[i])
				assert.ErrorContains(t, problems[i], "token 2")
			}
		})
	}
	_, problems := access.NewTable(make([]access.Entry, access.MaxTokens+1))
	assert.ErrorContains(t, problems[0], "at most")
}

func TestEntry_RemarksThatAnAdminOfATenantManagesNothing(t *testing.T) {
	for _, role := range model.Roles {
		bound, free := access.Entry{Role: role, Tenant: "acme"}, access.Entry{Role: role, Cluster: true}
		assert.Equal(t, role == model.RoleAdmin, bound.Remark() != "", role)
		assert.Empty(t, free.Remark(), role)
	}
}
