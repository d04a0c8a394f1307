package dev

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/tokens"
)

func TestExplain_NamesTheFilesOfASecuredCluster(t *testing.T) {
	dir := t.TempDir()
	made, err := secure(dir, 1)
	require.NoError(t, err)
	said := func(s *secured) string {
		var out bytes.Buffer
		c := &cluster{opt: Options{Dir: dir, Out: &out}, ports: []ports{{HTTP: 1, RPC: 2}}, secured: s}
		c.explain()
		return out.String()
	}
	file := filepath.Join(dir, "tokens.yaml")
	for _, want := range []string{
		"token create --file " + file, "token list --file " + file, "token revoke me --file " + file,
		"TIERCEL_TLS_CA=" + filepath.Join(dir, "certs", "ca.crt"), "TIERCEL_TOKEN=$(cat " + filepath.Join(dir, "admin.token") + ")", "https://127.0.0.1:1",
	} {
		assert.Contains(t, said(made), want)
	}
	table, err := tokens.Read(file)
	require.NoError(t, err, "it is there, as it says")
	assert.Equal(t, model.Principal{Name: "admin", Role: model.RoleAdmin}, table.Entries()[0].Principal())

	open := said(nil)
	assert.NotContains(t, open, "token", "nobody needs one")
	assert.Contains(t, open, "/readme\n\nKill one")
	assert.NotContains(t, open, "%!")
	assert.NotContains(t, said(made), "%!")
}

func TestSecure_FinishesWhatAStartThatWasCutShortHasBegun(t *testing.T) {
	dir := t.TempDir()
	made, err := secure(dir, 1)
	require.NoError(t, err)
	secret, err := os.ReadFile(made.admin)
	require.NoError(t, err)
	before, err := tokens.Read(made.tokens)
	require.NoError(t, err)

	require.NoError(t, os.Remove(made.tokens))
	_, err = secure(dir, 1)
	require.NoError(t, err)
	again, err := os.ReadFile(made.admin)
	require.NoError(t, err)
	assert.Equal(t, secret, again)
	after, err := tokens.Read(made.tokens)
	require.NoError(t, err)
	assert.Equal(t, before.Entries(), after.Entries(), "the same secret is let in")

	require.NoError(t, os.Remove(made.admin))
	_, err = secure(dir, 1)
	assert.Equal(t, model.CodeConflict, model.CodeOf(err))
	assert.ErrorContains(t, err, "token create --file "+made.tokens)

	require.NoError(t, os.Remove(made.tokens))
	require.NoError(t, os.WriteFile(made.admin, []byte("no token\n"), 0o600))
	_, err = secure(dir, 1)
	assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err))
}
