package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/httpapi"
)

func action(n int) httpapi.Action {
	return httpapi.Action{At: time.Unix(int64(n), 0).UTC(), Name: "ops", Role: "admin", Method: "POST", Route: "/r", Subject: fmt.Sprintf("/r/%d", n), Outcome: httpapi.Done, Status: 200}
}

// lines reads the actions of a file.
func lines(t *testing.T, path string) (out []httpapi.Action) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.HasSuffix(text, []byte("\n")))
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var a httpapi.Action
		if json.Unmarshal([]byte(line), &a) == nil {
			out = append(out, a)
		}
	}
	return out
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openLog(t *testing.T, dir string, to io.Writer) *Log {
	t.Helper()
	l := Open(dir, "", slog.New(slog.NewTextHandler(to, nil)))
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l
}

func TestLog_AppendsALineAnActionAndGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	path := filepath.Join(dir, "audit", "audit.log")
	l.Write(action(1))
	assert.Equal(t, []httpapi.Action{action(1)}, lines(t, path))
	require.NoError(t, l.Close())
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"at":"cut off by a cr`)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	l = openLog(t, dir, io.Discard)
	l.Write(action(2))
	assert.Equal(t, []httpapi.Action{action(1), action(2)}, lines(t, path), "a torn line costs no other")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestLog_IsBoundedAndTheNewestStay(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	l.maxFileBytes = 500
	const wrote = 60
	for n := range wrote {
		l.Write(action(n))
	}
	names, err := filepath.Glob(filepath.Join(dir, "audit", "*"))
	require.NoError(t, err)
	assert.Len(t, names, Keep+1)
	var all []httpapi.Action
	for n := Keep; n >= 0; n-- {
		name := filepath.Join(dir, "audit", "audit.log")
		if n > 0 {
			name += fmt.Sprintf(".%d", n)
		}
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.LessOrEqual(t, info.Size(), int64(500))
		all = append(all, lines(t, name)...)
	}
	for i, a := range all {
		assert.Equal(t, action(wrote-len(all)+i), a, "in order, and up to the newest")
	}
	assert.Empty(t, l.Warnings())
}

func TestLog_WhatCannotBeWrittenIsInTheNodesLogAndWarnedOf(t *testing.T) {
	dir := t.TempDir()
	var node bytes.Buffer
	l := openLog(t, dir, &node)
	l.Write(action(1))
	require.Empty(t, l.Warnings())
	require.NoError(t, l.file.Close()) // as if the disk had gone
	l.Write(action(2))
	assert.Contains(t, node.String(), `/r/2`)
	assert.Contains(t, node.String(), "level=ERROR")
	require.Len(t, l.Warnings(), 1)
	assert.Contains(t, l.Warnings()[0], "not written to the audit log")
	l.Write(action(3))
	assert.Empty(t, l.Warnings())
	assert.Equal(t, []httpapi.Action{action(1), action(3)}, lines(t, filepath.Join(dir, "audit", "audit.log")))
}

func TestLog_AFullDiskStopsNothingAndIsWarnedOfUntilALineCanBeWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit", "audit.log")
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	require.NoError(t, os.Symlink("/dev/full", path))
	var node bytes.Buffer
	l := openLog(t, dir, &node)
	for n := range 3 {
		l.Write(action(n))
		assert.Contains(t, node.String(), fmt.Sprintf("/r/%d", n), "the line is in the node's own log, whole")
		require.Len(t, l.Warnings(), 1)
		assert.Contains(t, l.Warnings()[0], "no space left on device")
	}
	require.NoError(t, os.Remove(path))
	l.Write(action(3))
	assert.Empty(t, l.Warnings())
	assert.Equal(t, []httpapi.Action{action(3)}, lines(t, path))
}

func TestLog_OneThatCannotBeOpenedStopsNothingAndIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "audit")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	var node bytes.Buffer
	l := openLog(t, dir, &node)
	require.Len(t, l.Warnings(), 1)
	l.Write(action(1))
	assert.Contains(t, node.String(), `/r/1`)
	require.NoError(t, os.Remove(blocked))
	l.Write(action(2))
	assert.Empty(t, l.Warnings())
	assert.Equal(t, []httpapi.Action{action(2)}, lines(t, filepath.Join(blocked, "audit.log")))
}

func TestLog_ALineIsBoundedWhateverWentWrong(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	a := action(1)
	a.Detail = strings.Repeat("ä", 1<<20)
	l.Write(a)
	told := lines(t, filepath.Join(dir, "audit", "audit.log"))
	require.Len(t, told, 1)
	assert.Equal(t, strings.Repeat("ä", maxDetailBytes/2)+"…", told[0].Detail)
}

// What logrotate does, and what somebody does who wants no trace.
func TestLog_AFileThatWasTakenAwayIsBegunAgainAtTheNextLine(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	path := filepath.Join(dir, "audit", "audit.log")
	l.Write(action(1))
	require.NoError(t, os.Rename(path, path+".kept"))
	l.Write(action(2))
	assert.Equal(t, []httpapi.Action{action(1)}, lines(t, path+".kept"))
	assert.Equal(t, []httpapi.Action{action(2)}, lines(t, path))

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "audit")))
	l.Write(action(3))
	assert.Equal(t, []httpapi.Action{action(3)}, lines(t, path))

	said := &bytes.Buffer{}
	l.log = slog.New(slog.NewTextHandler(said, nil))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "audit")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "audit"), nil, 0o600))
	l.Write(action(4))
	require.Len(t, l.Warnings(), 1)
	assert.Contains(t, said.String(), "/r/4", "it is in the node's own log")
}
