package dev

import (
	"bytes"
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
