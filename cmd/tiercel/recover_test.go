package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/actors/recovery"
	"tiercel/cluster/model"
	"tiercel/store"
)

func TestRecover_ADirectoryThatIsNoneIsSaidForTheVerbThatWasCalled(t *testing.T) {
	nothing := filepath.Join(t.TempDir(), "nothing")
	for line, verb := range map[string]string{"recover": "recover", "recover --yes": "recover", "recover --worker --yes": "recover", "recover --export x": "recover", "takeover": "take over"} {
		o := (&cli{t: t}).run(append(strings.Fields(line), "--data-dir", nothing)...)
		assert.Equal(t, exitFailed, o.status, line)
		assert.Contains(t, o.stderr, nothing+" is no data directory of a node", line)
		assert.Equal(t, verb == "take over", strings.Contains(strings.ToLower(o.stderr), "take over") || strings.Contains(o.stderr, "takeover"), "%s: %s", line, o.stderr)
		assert.Equal(t, verb == "recover", strings.Contains(o.stderr, "recover"), "%s: %s", line, o.stderr)
		assert.NoDirExists(t, nothing, "a question makes no directory")
		assert.Empty(t, o.stdout, line)
	}
}

func TestRecover_FlagsThatWouldBeIgnoredAreRefused(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "x")
	for line, says := range map[string]string{
		"--export X --yes --import q":       "goes without --yes, --worker, --import and --catalog",
		"--export X --yes":                  "goes without --yes",
		"--export X --import q":             "goes without --yes",
		"--export X --worker":               "goes without --yes",
		"--export X --catalog c":            "goes without --yes",
		"--worker --catalog c --yes":        "--worker needs no --catalog and no --import",
		"--worker --import q --yes":         "--worker needs no --catalog and no --import",
		"--data-dir D --data-dir D --yes":   "is given twice",
		"--data-dir D --data-dir D/. --yes": "is given twice",
	} {
		args := strings.Fields(strings.NewReplacer("X", target, "D", dir).Replace(line))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "node.yaml"), nil, 0o600))
		o := (&cli{t: t}).run(append([]string{"recover"}, args...)...)
		assert.Equal(t, exitUsage, o.status, "%s: %s", line, o.stderr)
		assert.Contains(t, o.stderr, says, line)
		assert.NoFileExists(t, target, line)
	}
}

func TestRecover_AnExportOfNothingSaysSoAndLeavesNoFile(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	fs, err := store.NewDirFS(dir)
	require.NoError(t, err)
	data, err := actors.OpenData(fs, rand.Reader, true) // a node that never had anything
	require.NoError(t, err)
	require.NoError(t, data.Close())
	o := (&cli{t: t}).run("recover", "--data-dir", dir, "--export", filepath.Join(out, "d.pieces"))
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "no piece of a checkpoint or journal in these directories, so nothing was written")
	left, err := os.ReadDir(out)
	require.NoError(t, err)
	assert.Empty(t, left, "no empty file, which would look like one with pieces")
}

func TestRecoverSteps_SayWhichNodeIsStartedWhen(t *testing.T) {
	dirs := []recovery.DirReport{{Name: "/a", Founder: true}, {Name: "/b"}, {Name: "/c"}, {Name: "/d"}}
	for _, c := range []struct {
		name        string
		report      recovery.Report
		says, never []string
	}{
		{"alone", recovery.Report{Generation: 2, Dirs: dirs[:1]}, []string{"1. start /a first"}, []string{"--join", "remove"}},
		{"two", recovery.Report{Generation: 2, Dirs: dirs[:2]}, []string{"2. when it is ready, start /b with --join HOST:PORT"}, []string{"any order"}},
		{"four", recovery.Report{Generation: 2, Dirs: dirs}, []string{"start /b, /c and /d (in any order) with --join"}, []string{"remove"}},
		{"some are elsewhere", recovery.Report{Generation: 2, Dirs: dirs[:1], Absent: []model.NodeID{"n-1"}},
			[]string{"2. start the workers that were not named here", oldVoter, "3. a worker of the catalog that never comes back: 'tiercel workers remove WORKER'"}, []string{"when it is ready"}},
		{"one worker", recovery.Report{Dirs: dirs[1:2]}, []string{"1. see that the first node", "2. start /b with --join"}, []string{"first,", "any order"}},
	} {
		o := &bytes.Buffer{}
		c.report.Done = true
		require.NoError(t, (&app{stdout: o}).reportRecovery(&c.report, "table", true, recoverSteps(&c.report)))
		for _, text := range c.says {
			assert.Contains(t, o.String(), text, c.name)
		}
		for _, text := range c.never {
			assert.NotContains(t, o.String(), text, c.name)
		}
	}
}
