package audit

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/httpapi"
)

// read is what a Reader shows of some logs, as the seconds of action and stranger.
func read(t *testing.T, f Filter, most int64, dirs []string, files ...string) ([]httpapi.Action, Report) {
	t.Helper()
	r, err := OpenReader(dirs, files)
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.Close()) }()
	report, err := r.Survey(f, most)
	require.NoError(t, err)
	var out []httpapi.Action
	require.NoError(t, r.Show(f, report, func(a *httpapi.Action) error {
		out = append(out, *a)
		return nil
	}))
	assert.Len(t, out, int(report.Shown))
	return out, report
}

func TestReader_ShowsAllFilesOfALogInTheOrderOfTime(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	l.maxFileBytes, l.refused.maxFileBytes = 500, 4000
	var want []httpapi.Action
	for n := range 20 {
		done, refused := action(n), stranger(0, fmt.Sprintf("10.0.0.%d:1", n))
		done.At, refused.At = at(float64(10*n)), at(float64(10*n+5))
		l.Write(done)
		l.Refuse(refused)
		l.Tell(refused.At)
		want = append(want, done, refused)
	}
	require.FileExists(t, filepath.Join(dir, "audit", "audit.log.2"))
	got, report := read(t, Filter{}, 0, []string{dir})
	require.NotEmpty(t, got)
	// Some of the oldest were overwritten; what is left is whole, and in order.
	left := map[string]bool{}
	for _, a := range got {
		left[a.At.String()] = true
	}
	var there []httpapi.Action
	for _, a := range want {
		if left[a.At.String()] {
			there = append(there, a)
		}
	}
	assert.Equal(t, there, got)
	assert.Greater(t, len(got), 30)
	assert.Equal(t, Report{Lines: int64(len(got)), Shown: int64(len(got))}, report)

	newest, report := read(t, Filter{}, 3, []string{dir})
	assert.Equal(t, want[len(want)-3:], newest, "the newest, the newest last")
	assert.Equal(t, int64(len(got)), report.Lines)
	same, _ := read(t, Filter{}, 0, []string{filepath.Join(dir, "audit")})
	assert.Equal(t, got, same, "a copy of the audit directory will do")
	one, _ := read(t, Filter{}, 0, nil, filepath.Join(dir, "audit", "refused.log"))
	assert.Len(t, one, 20, "and a file alone")
}

func TestReader_ChoosesByTimeOutcomeAndWhatWasAsked(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	drain := httpapi.Action{At: at(0), Name: "ops", Method: "POST", Route: basePath + "/cluster/workers/{id}/drain", Subject: basePath + "/cluster/workers/n-2/drain?dry_run=true", Outcome: httpapi.Done}
	quota := httpapi.Action{At: at(10), Name: "ops", Method: "POST", Route: basePath + "/quotas", Subject: basePath + "/quotas", Outcome: "conflict"}
	reload := httpapi.Action{At: at(20), Name: "node", Route: "reload tokens", Subject: "/etc/tokens.yaml", Outcome: httpapi.Done}
	for _, a := range []httpapi.Action{drain, quota, reload} {
		l.Write(a)
	}
	l.Refuse(stranger(5, "10.0.0.1:1"))
	l.Refuse(stranger(6, "10.0.0.1:1"))
	l.Refuse(stranger(30, "10.0.0.1:1"))
	l.Tell(at(70))
	first, sum := stranger(5, "10.0.0.1:1"), summed(stranger(5, "10.0.0.1:1"), 6, 30, 2)
	for _, c := range []struct {
		name string
		f    Filter
		want []httpapi.Action
	}{
		{"all", Filter{}, []httpapi.Action{drain, first, sum, quota, reload}},
		{"since", Filter{Since: at(10)}, []httpapi.Action{sum, quota, reload}},
		{"since the end of what goes on", Filter{Since: at(30)}, []httpapi.Action{sum}},
		{"since later", Filter{Since: at(31)}, nil},
		{"an outcome", Filter{Outcome: "unauthenticated"}, []httpapi.Action{first, sum}},
		{"a verb", Filter{Action: "Drain"}, []httpapi.Action{drain}},
		{"a worker", Filter{Action: "workers/n-2"}, []httpapi.Action{drain}},
		{"a method and a route", Filter{Action: "POST /quotas"}, []httpapi.Action{quota}},
		{"the node's own", Filter{Action: "reload tokens"}, []httpapi.Action{reload}},
		{"its file", Filter{Action: "/etc/"}, []httpapi.Action{reload}},
		{"several", Filter{Since: at(1), Action: "post", Outcome: "conflict"}, []httpapi.Action{quota}},
	} {
		got, _ := read(t, c.f, 0, []string{dir})
		assert.Equal(t, c.want, got, c.name)
	}
}

func TestReader_CountsWhatCannotBeReadAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	path := filepath.Join(dir, "audit", "audit.log")
	garble := func(text string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	l.Write(action(1))
	garble("no JSON\n{\"at\":\"2026-01-01T00:00:00Z\",\"status\":\"not a number\"}\n{}\n\n[1]\n" + strings.Repeat("x", 3*maxLineBytes) + "\n")
	l.Write(action(2))
	garble(`{"at":"2026-01-01T00:0`)
	got, report := read(t, Filter{}, 0, []string{dir})
	assert.Equal(t, []httpapi.Action{action(1), action(2)}, got)
	assert.Equal(t, Report{Lines: 2, Shown: 2, Unreadable: 5, Torn: 1}, report)

	require.NoError(t, os.Truncate(path, 0)) // by a program that copies and truncates
	got, report = read(t, Filter{}, 0, []string{dir})
	assert.Empty(t, got)
	assert.Zero(t, report)
	garble(strings.Repeat("y", maxLineBytes+1))
	_, report = read(t, Filter{}, 0, []string{dir})
	assert.Equal(t, int64(1), report.Unreadable)
}

// A last line without its end may be whole: the file was cut exactly there.
func TestReader_TakesALastLineThatIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.log")
	require.NoError(t, os.WriteFile(path, []byte(`{"at":"2026-01-01T00:00:00Z","route":"/r","outcome":"done"}`), 0o600))
	got, report := read(t, Filter{}, 0, nil, path)
	assert.Len(t, got, 1)
	assert.Zero(t, report.Torn)
}

// The file that is written may become the next older one while the log is opened.
func TestReader_AFileByTwoNamesIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	l.Write(action(1))
	path := filepath.Join(dir, "audit", "audit.log")
	require.NoError(t, os.Link(path, path+".1"))
	got, _ := read(t, Filter{}, 0, []string{dir})
	assert.Equal(t, []httpapi.Action{action(1)}, got)
}

func TestReader_PutsTheLogsOfSeveralNodesInOrder(t *testing.T) {
	var dirs []string
	var want []httpapi.Action
	logs := make([]*Log, 3)
	for i := range logs {
		dirs = append(dirs, t.TempDir())
		logs[i] = Open(dirs[i], fmt.Sprintf("n-%d", i), discard())
		defer logs[i].Close()
	}
	for n := range 30 {
		a := action(n)
		logs[n%3].Write(a)
		a.Node = fmt.Sprintf("n-%d", n%3)
		want = append(want, a)
	}
	got, report := read(t, Filter{}, 0, dirs)
	assert.Equal(t, want, got)
	assert.Equal(t, 2, report.Nodes)
	_, report = read(t, Filter{}, 0, dirs[:1])
	assert.Equal(t, 1, report.Nodes)
}

func TestReader_SaysWhatItCannotOpen(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenReader([]string{dir}, nil)
	assert.Equal(t, model.CodeNotFound, model.CodeOf(err))
	require.ErrorContains(t, err, "--data-dir")
	_, err = OpenReader(nil, []string{filepath.Join(dir, "nothing")})
	assert.Equal(t, model.CodeNotFound, model.CodeOf(err))
	_, err = OpenReader(nil, []string{dir})
	assert.ErrorContains(t, err, "not a regular file")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "audit"), 0o700))
	_, err = OpenReader([]string{dir}, nil)
	assert.Equal(t, model.CodeNotFound, model.CodeOf(err))
}

// What a log was made to hold costs no more memory than a line of it.
func TestReader_KeepsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.log")
	f, err := os.Create(path)
	require.NoError(t, err)
	const wrote = 3000
	for n := range wrote {
		_, err := fmt.Fprintf(f, "{\"at\":%q,\"route\":\"/r\",\"outcome\":\"done\",\"detail\":%q}\n", time.Unix(int64(n), 0).UTC().Format(time.RFC3339), strings.Repeat("d", 10_000))
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	r, err := OpenReader(nil, []string{path})
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.Close()) }()
	seen := 0
	report, err := r.Survey(Filter{}, 0)
	require.NoError(t, err)
	var last *httpapi.Action
	require.NoError(t, r.Show(Filter{}, report, func(a *httpapi.Action) error {
		assert.True(t, last == nil || last == a, "one line at a time is held")
		last = a
		seen++
		return nil
	}))
	assert.Equal(t, wrote, seen)
}
