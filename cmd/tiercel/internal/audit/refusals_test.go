package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/httpapi"
)

// at is a moment of these tests, seconds after their begin.
func at(seconds float64) time.Time {
	return time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

// stranger is a refusal of somebody without a known token.
func stranger(seconds float64, remote string) httpapi.Action {
	return httpapi.Action{At: at(seconds), Remote: remote, Method: "GET", Route: "/files", Outcome: "unauthenticated", Status: 401, Detail: "not known"}
}

// denied is a refusal of a token for its role.
func denied(seconds float64, name, method, route string) httpapi.Action {
	return httpapi.Action{At: at(seconds), Remote: "10.0.0.1:5", Name: name, Method: method, Route: route, Outcome: string(model.CodePermissionDenied), Status: 403}
}

func summed(a httpapi.Action, from, to float64, n int64) httpapi.Action {
	a.At, a.Until, a.Repeated = at(from), at(to), n
	return a
}

func refusedLines(t *testing.T, dir string) []httpapi.Action {
	t.Helper()
	path := filepath.Join(dir, "audit", "refused.log")
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return nil
	}
	return lines(t, path)
}

func TestRefusals_TheFirstHasALineTheOthersOfItsMinuteANumber(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	l.Refuse(stranger(0, "10.0.0.1:5000"))
	l.Tell(at(0))
	first := stranger(0, "10.0.0.1:5000")
	assert.Equal(t, []httpapi.Action{first}, refusedLines(t, dir), "at once")
	for i := range 1000 {
		l.Refuse(stranger(1+float64(i)/100, fmt.Sprintf("10.0.0.1:%d", 5000+i)))
	}
	l.Tell(at(59))
	assert.Len(t, refusedLines(t, dir), 1, "a flood is not one line a request")
	l.Tell(at(60))
	want := []httpapi.Action{first, summed(first, 1, 10.99, 1000)}
	assert.Equal(t, want, refusedLines(t, dir))
	l.Refuse(stranger(100, "10.0.0.1:7"))
	l.Refuse(stranger(130, "10.0.0.1:8"))
	l.Tell(at(130))
	want = append(want, summed(first, 100, 130, 2))
	assert.Equal(t, want, refusedLines(t, dir), "what goes on has a line a minute")
	l.Tell(at(300))
	assert.Equal(t, want, refusedLines(t, dir), "none came, no line")
	l.Refuse(stranger(301, "10.0.0.1:9"))
	l.Tell(at(301))
	assert.Equal(t, append(want, stranger(301, "10.0.0.1:9")), refusedLines(t, dir), "and the next one is told at once again")
}

func TestRefusals_WhatMakesTwoOfThemAlike(t *testing.T) {
	nobody := func(remote, route, outcome string) httpapi.Action {
		return httpapi.Action{At: at(0), Remote: remote, Method: "GET", Route: route, Outcome: outcome}
	}
	because := func(why string) httpapi.Action {
		return httpapi.Action{At: at(0), Remote: "10.0.0.1:1", Outcome: "unauthenticated", Detail: why}
	}
	for _, c := range []struct {
		name  string
		a, b  httpapi.Action
		alike bool
	}{
		{"another port", stranger(0, "10.0.0.1:1"), stranger(0, "10.0.0.1:2"), true},
		{"another address", stranger(0, "10.0.0.1:1"), stranger(0, "10.0.0.2:1"), false},
		{"another address of one IPv6 network", stranger(0, "[2001:db8::1]:1"), stranger(0, "[2001:db8::ffff:2]:1"), true},
		{"another IPv6 network", stranger(0, "[2001:db8::1]:1"), stranger(0, "[2001:db8:0:1::1]:1"), false},
		{"IPv4 in IPv6", stranger(0, "10.0.0.1:1"), stranger(0, "[::ffff:10.0.0.1]:1"), true},
		{"another route, of nobody known", nobody("10.0.0.1:1", "/a", "unauthenticated"), nobody("10.0.0.1:1", "/b", "unauthenticated"), true},
		{"another reason, of nobody known", because("a token is needed"), because("it was revoked"), false},
		{"another code", nobody("10.0.0.1:1", "/a", "unauthenticated"), nobody("10.0.0.1:1", "/a", "not_found"), false},
		{"another token", denied(0, "ci", "PUT", "/a"), denied(0, "cd", "PUT", "/a"), false},
		{"another route, of a token", denied(0, "ci", "PUT", "/a"), denied(0, "ci", "PUT", "/b"), false},
		{"another method, of a token", denied(0, "ci", "PUT", "/a"), denied(0, "ci", "GET", "/a"), false},
		{"another tenant that a token asked for", httpapi.Action{Name: "ci", Outcome: "not_found", Detail: "a"}, httpapi.Action{Name: "ci", Outcome: "not_found", Detail: "b"}, true},
		{"the same of a token", denied(0, "ci", "PUT", "/a"), denied(9, "ci", "PUT", "/a"), true},
	} {
		var r refusals
		require.True(t, r.note(&c.a), c.name)
		assert.Equal(t, c.alike, !r.note(&c.b), c.name)
	}
}

// However many callers there are, what is kept of them and written is bounded, and those
// whom nobody knows take no room from those with a token.
func TestRefusals_AreBoundedWhoeverSendsThem(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	const callers = 10_000
	for i := range callers {
		l.Refuse(stranger(1, fmt.Sprintf("10.%d.%d.1:5", i/250, i%250)))
	}
	assert.LessOrEqual(t, len(l.strange.rows), MaxRows+1)
	assert.LessOrEqual(t, len(l.pending), MaxRows+1)
	l.Refuse(denied(1, "ci", "PUT", "/files/{path}"))
	l.Tell(at(1))
	told := refusedLines(t, dir)
	require.Len(t, told, MaxRows+2)
	assert.Equal(t, "any", told[MaxRows].Route, "the others together")
	assert.Empty(t, told[MaxRows].Remote)
	assert.Equal(t, "unauthenticated", told[MaxRows].Outcome)
	assert.Equal(t, "ci", told[MaxRows+1].Name)
	l.Tell(at(61))
	told = refusedLines(t, dir)
	require.Len(t, told, MaxRows+3)
	assert.Equal(t, int64(callers-MaxRows-1), told[MaxRows+2].Repeated, "all are counted")
	l.Tell(at(122))
	assert.Empty(t, l.strange.rows, "and forgotten")
}

// Nobody who is refused pushes what was done out of the log.
func TestRefusals_TakeNoRoomFromWhatWasDone(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	l.maxFileBytes, l.refused.maxFileBytes = 2000, 2000
	l.Write(action(1))
	for minute := range 300 {
		now := 60 * float64(minute)
		l.Refuse(stranger(now, fmt.Sprintf("10.0.%d.1:5", minute)))
		for range 20 {
			l.Write(denied(now, "ci", "POST", "/cluster/scrub"))
		}
		l.Tell(at(now))
	}
	done := lines(t, filepath.Join(dir, "audit", "audit.log"))
	assert.Equal(t, []httpapi.Action{action(1), denied(0, "ci", "POST", "/cluster/scrub")}, done)
	names, err := filepath.Glob(filepath.Join(dir, "audit", "refused.log*"))
	require.NoError(t, err)
	assert.Len(t, names, KeepRefused+1)
	for _, name := range names {
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.LessOrEqual(t, info.Size(), int64(2000))
	}
}

func TestRefusals_OfAManagementActionTheFirstIsAmongTheActionsBeforeItIsAnswered(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	first := denied(0, "ci", "POST", "/cluster/scrub")
	first.Subject, first.Body, first.RequestID = "/cluster/scrub?…", "{}", "r-1"
	l.Write(first)
	assert.Equal(t, []httpapi.Action{first}, lines(t, filepath.Join(dir, "audit", "audit.log")))
	l.Write(denied(1, "ci", "POST", "/cluster/scrub"))
	l.Write(denied(2, "ci", "DELETE", "/cluster/workers/{id}"))
	l.Tell(at(60))
	assert.Equal(t, []httpapi.Action{first, denied(2, "ci", "DELETE", "/cluster/workers/{id}")}, lines(t, filepath.Join(dir, "audit", "audit.log")))
	assert.Equal(t, []httpapi.Action{summed(denied(0, "ci", "POST", "/cluster/scrub"), 1, 1, 1)}, refusedLines(t, dir), "of the others, nothing of the first one's own")
	failed := action(3) // was allowed, and refused for another reason
	failed.Outcome, failed.Status = "conflict", 409
	l.Write(failed)
	l.Write(failed)
	assert.Len(t, lines(t, filepath.Join(dir, "audit", "audit.log")), 4, "what an admin does is never only counted")
}

func TestRefusals_WhatIsStillCountedIsWrittenAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	l.Refuse(stranger(0, "10.0.0.1:1"))
	l.Refuse(stranger(1, "10.0.0.1:1"))
	require.NoError(t, l.Close())
	assert.Equal(t, []httpapi.Action{stranger(0, "10.0.0.1:1"), summed(stranger(0, "10.0.0.1:1"), 1, 1, 1)}, refusedLines(t, dir))
}

func TestRefusals_WhatCannotBeWrittenIsInTheNodesLogAndWarnedOf(t *testing.T) {
	dir := t.TempDir()
	var node bytes.Buffer
	l := openLog(t, dir, &node)
	blocked := filepath.Join(dir, "audit", "refused.log")
	require.NoError(t, os.Mkdir(blocked, 0o700))
	l.Refuse(stranger(0, "10.0.0.1:1"))
	l.Tell(at(0))
	assert.Contains(t, node.String(), "10.0.0.1:1")
	require.Len(t, l.Warnings(), 1)
	assert.Contains(t, l.Warnings()[0], "refused requests are not written to the audit log")
	require.NoError(t, os.Remove(blocked))
	l.Refuse(stranger(1, "10.0.0.2:1"))
	l.Tell(at(1))
	assert.Empty(t, l.Warnings())
}

// A disk may hang. Requests that are refused, and who asks for the status, do not wait for it.
func TestRefusals_NobodyWhoIsRefusedWaitsForTheDisk(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, io.Discard)
	l.Refuse(stranger(0, "10.9.9.9:1"))
	require.Empty(t, refusedLines(t, dir), "written by who was refused")
	l.refused.mu.Lock() // as a write does that does not come back
	written := make(chan struct{})
	l.Refuse(stranger(0, "10.0.0.1:1"))
	go func() {
		defer close(written)
		l.Tell(at(0))
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			l.Refuse(stranger(0, fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)))
			l.Warnings()
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("they wait")
	}
	l.refused.mu.Unlock()
	<-written
	<-done
}

func TestRun_WritesWhatIsRefusedWithoutBeingAsked(t *testing.T) {
	dir := t.TempDir()
	l := Open(dir, "n-1", discard())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Run(ctx, func() time.Time { return at(0) })
	}()
	l.Refuse(stranger(0, "10.0.0.1:1"))
	want := stranger(0, "10.0.0.1:1")
	want.Node = "n-1"
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "audit", "refused.log"))
		return err == nil && bytes.HasSuffix(text, []byte("\n"))
	}, time.Minute, time.Millisecond)
	stop()
	<-ended
	l.Write(action(1))
	require.NoError(t, l.Close())
	assert.Equal(t, []httpapi.Action{want}, refusedLines(t, dir))
	assert.Equal(t, "n-1", lines(t, filepath.Join(dir, "audit", "audit.log"))[0].Node, "each line names its node")
}
