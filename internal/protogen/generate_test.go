package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

func TestGeneratedCode_IsUpToDate(t *testing.T) {
	made, err := generate(t.Context(), root)
	require.NoError(t, err)
	names, err := stale(root, made)
	require.NoError(t, err)
	assert.Empty(t, names, "stale generated code: run make proto")
}

// Each way to be stale must be seen, or the test above could not fail.
func TestStale_SeesMissingChangedAndOrphanedCode(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "messages"), 0o755))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "messages", name), []byte(text), 0o644))
	}
	header := "// versions:\n// \tprotoc-gen-go v1\n// \tprotoc        v3\n"
	write("same.pb.go", header+"var same = 1\n")
	write("changed.pb.go", header+"var changed = 1\n")
	write("orphan.pb.go", header)

	newer := "// versions:\n// \tprotoc-gen-go v2\n// \tprotoc        (unknown)\n"
	names, err := stale(dir, map[string][]byte{
		"messages/same.pb.go":    []byte(newer + "var same = 1\n"),
		"messages/changed.pb.go": []byte(newer + "var changed = 2\n"),
		"messages/missing.pb.go": []byte(newer),
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"messages/changed.pb.go", "messages/missing.pb.go", "messages/orphan.pb.go"}, names)
}

func TestGenerate_RefusesAProtoFileThatDoesNotCompile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "messages"), 0o755))
	text := "syntax = \"proto3\";\nmessage Broken { Missing field = 1; }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "messages", "broken.proto"), []byte(text), 0o644))
	_, err := generate(t.Context(), dir)
	require.ErrorContains(t, err, "messages/broken.proto:2")
	require.ErrorContains(t, err, "Missing")
}

func TestGenerate_SaysWhenItRunsInTheWrongDirectory(t *testing.T) {
	_, err := generate(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "root of the module")
}
