package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/store"
)

func stoppedNode(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	fs, err := store.NewDirFS(dir)
	require.NoError(t, err)
	data, err := actors.OpenData(fs, rand.Reader, true)
	require.NoError(t, err)
	require.NoError(t, data.Close())
	return dir
}

func TestActed_WhatIsDoneToADirectoryIsInItsAuditLogAndAPlanIsNot(t *testing.T) {
	c := newCLI(t)
	dir := stoppedNode(t)
	c.must("recover", "--worker", "--data-dir", dir)
	assert.NoDirExists(t, filepath.Join(dir, "audit"), "a plan changes nothing")
	c.must("recover", "--worker", "--data-dir", dir, "--yes")
	assert.Regexp(t, `done +recover --worker  \(made a worker, under a new Raft id\)`, c.must("audit", "--data-dir", dir, "--action", "recover"))

	unwritable := stoppedNode(t)
	require.NoError(t, os.WriteFile(filepath.Join(unwritable, "audit"), nil, 0o600))
	o := c.run("recover", "--worker", "--data-dir", unwritable, "--yes")
	assert.Equal(t, exitDone, o.status, "it is done: %s", o.stderr)
	assert.Contains(t, o.stderr, "warning: what recover --worker did to "+unwritable+" is not in its audit log")
}
