package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/access"
	"tiercel/cluster/model"
)

// FuzzSecret identifies whoever sends any bytes for a token: nobody but the one who has it.
func FuzzSecret(f *testing.F) {
	good, err := access.NewSecret(strings.NewReader(strings.Repeat("s", 32)))
	require.NoError(f, err)
	hash, err := access.HashOf(good)
	require.NoError(f, err)
	table, problems := access.NewTable([]access.Entry{{Name: "ops", Hash: hash, Role: model.RoleAdmin, Cluster: true}})
	require.Empty(f, problems)
	for _, seed := range []string{good, good + "=", good[:len(good)-1], strings.ToUpper(good), "tiercel_", "", "\x00", strings.Replace(good, "c", "\n", 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		who, err := table.Identify(secret, time.Unix(0, 0))
		if secret == good {
			require.NoError(t, err)
			return
		}
		assert.Nil(t, who)
		require.Equal(t, model.CodeUnauthenticated, model.CodeOf(err))
	})
}
