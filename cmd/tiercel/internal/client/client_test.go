package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func newClient(t *testing.T, s *clienttest.Server, timeout time.Duration) *Client {
	t.Helper()
	c, err := New(Options{Server: s.URL, Timeout: timeout, BackOff: time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// failing injects the given faults into the requests of one method, in order, then none.
func failing(s *clienttest.Server, method string, faults ...clienttest.Fault) {
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method != method || len(faults) == 0 {
			return clienttest.Fault{}
		}
		f := faults[0]
		faults = faults[1:]
		return f
	}
}

type memorySink struct {
	bytes.Buffer
	restarts int
}

func (m *memorySink) Restart() error { m.Reset(); m.restarts++; return nil }

var large = strings.Repeat("0123456789abcdef", 200_000) // 3.2 MB: sent as a stream

func TestNew_RefusesWhatIsNoAddress(t *testing.T) {
	for _, server := range []string{"", "http://", "ftp://x", "http://x/path", "http://u@x", "http://x?y", "http://a b"} {
		_, err := New(Options{Server: server})
		assert.Error(t, err, server)
	}
	_, err := New(Options{Server: "localhost:8880", Tenant: "Bad Tenant"})
	assert.Error(t, err)
	c, err := New(Options{Server: "localhost:8880"})
	require.NoError(t, err)
	assert.Equal(t, "http://localhost:8880", c.Server())
}

func TestPut_SurvivesFaultsAndAppliesOnce(t *testing.T) {
	cases := map[string][]clienttest.Fault{
		"no fault":                      {},
		"overloaded, then unavailable":  {{Status: 429, Code: "overloaded", RetryAfter: "0"}, {Status: 503, Code: "no_master"}},
		"reset before":                  {{ResetFirst: true}, {ResetFirst: true}},
		"reset after it was done":       {{ResetAfter: true}, {ResetAfter: true}},
		"a proxy's bad gateway":         {{Status: 502}},
		"outcome unknown":               {{Status: 503, Code: "outcome_unknown"}},
		"deadline exceeded at the edge": {{Status: 504, Code: "deadline_exceeded"}},
	}
	for name, faults := range cases {
		for size, content := range map[string]string{"small": "hello", "large": large, "empty": ""} {
			t.Run(name+", "+size, func(t *testing.T) {
				s := clienttest.New(t)
				failing(s, http.MethodPut, faults...)
				progress := int64(0)
				r, err := newClient(t, s, time.Minute).Put(t.Context(), "/a b/ü%2F?#.bin", BytesSource([]byte(content)),
					PutOptions{Tier: 2, Meta: map[string]string{"k": "v"}, Progress: func(n int64) { progress += n }})
				require.NoError(t, err)
				assert.Equal(t, map[string]string{"/a b/ü%2F?#.bin": content}, s.Files())
				assert.Equal(t, uint64(1), r.Version, "a retry must not apply twice")
				assert.Equal(t, int64(len(content)), progress)
				f := s.Tenants["default"]["/a b/ü%2F?#.bin"]
				assert.Equal(t, "2", f.Tier)
				assert.Equal(t, "v", f.Meta.Get("X-Meta-K"))
			})
		}
	}
}

func TestPut_FailsWhenTheReceiptIsNotForWhatWasSent(t *testing.T) {
	s := clienttest.New(t)
	c := newClient(t, s, time.Minute)
	failing(s, http.MethodPut, clienttest.Fault{FlipBit: true})
	_, err := c.Put(t.Context(), "/large", BytesSource([]byte(large)), PutOptions{})
	assert.Equal(t, model.CodeCorrupt, model.CodeOf(err), "%v", err)

	failing(s, http.MethodPut, clienttest.Fault{FlipBit: true})
	_, err = c.Put(t.Context(), "/small", BytesSource([]byte("hello")), PutOptions{})
	assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), "%v", err)
	assert.NotContains(t, s.Files(), "/small", "the checksum went ahead, so damage was refused")
}

func TestPut_SendsAStreamOfUnknownLength(t *testing.T) {
	s := clienttest.New(t)
	src := Source{Size: -1, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(large)), nil }}
	_, err := newClient(t, s, time.Minute).Put(t.Context(), "/x", src, PutOptions{})
	require.NoError(t, err)
	assert.Equal(t, large, s.Files()["/x"])
}

func TestPut_OfASourceThatEndsEarlyStoresNothing(t *testing.T) {
	for _, size := range []int64{10, int64(len(large)) + 1} {
		s := clienttest.New(t)
		src := BytesSource([]byte(large[:min(size-1, int64(len(large)))]))
		src.Size = size
		_, err := newClient(t, s, time.Minute).Put(t.Context(), "/x", src, PutOptions{})
		require.Error(t, err)
		assert.Contains(t, Message(err), "became shorter")
		assert.Empty(t, s.Files())
		assert.LessOrEqual(t, s.Count("PUT"), 1, "not retried")
	}
}

func TestPut_OfASourceThatGrewStoresTheDeclaredLength(t *testing.T) {
	s := clienttest.New(t)
	src := BytesSource([]byte(large))
	src.Size = 2_000_000
	_, err := newClient(t, s, time.Minute).Put(t.Context(), "/x", src, PutOptions{})
	require.NoError(t, err)
	assert.Equal(t, large[:2_000_000], s.Files()["/x"])
}

func TestPut_DoesNotRetryARefusal(t *testing.T) {
	for status, code := range map[int]string{400: "invalid_argument", 403: "license_denied", 507: "quota_exceeded", 500: "internal", 404: ""} {
		s := clienttest.New(t)
		failing(s, http.MethodPut, clienttest.Fault{Status: status, Code: code})
		_, err := newClient(t, s, time.Minute).Put(t.Context(), "/x", BytesSource(nil), PutOptions{})
		require.Error(t, err)
		if code != "" {
			assert.Equal(t, model.Code(code), model.CodeOf(err))
		} else {
			assert.Contains(t, Message(err), "is "+s.URL+" a Tiercel server?")
		}
		assert.Equal(t, 1, s.Count("PUT"))
	}
}

func TestRetries_EndAfterTheTimeout(t *testing.T) {
	s := clienttest.New(t)
	s.Fault = func(*http.Request) clienttest.Fault { return clienttest.Fault{Status: 503, Code: "no_master"} }
	_, err := newClient(t, s, 50*time.Millisecond).Put(t.Context(), "/x", BytesSource(nil), PutOptions{})
	assert.Equal(t, model.CodeNoMaster, model.CodeOf(err))
	assert.Contains(t, Message(err), "gave up after")
	assert.Greater(t, s.Count("PUT"), 1)
}

func TestRetries_HonourRetryAfter(t *testing.T) {
	s := clienttest.New(t)
	failing(s, http.MethodPut, clienttest.Fault{Status: 503, Code: "unavailable", RetryAfter: "1"})
	var waited time.Duration
	ctx, cancel := context.WithCancel(t.Context())
	c, err := New(Options{Server: s.URL, BackOff: time.Millisecond, OnRetry: func(_ error, wait time.Duration) {
		waited = wait
		cancel()
	}})
	require.NoError(t, err)
	_, err = c.Put(ctx, "/x", BytesSource(nil), PutOptions{})
	require.Error(t, err)
	assert.Equal(t, time.Second, waited)

	failing(s, http.MethodPut, clienttest.Fault{Status: 503, Code: "unavailable", RetryAfter: "3600"})
	_, err = newClient(t, s, time.Minute).Put(t.Context(), "/x", BytesSource(nil), PutOptions{})
	assert.Equal(t, model.CodeUnavailable, model.CodeOf(err), "waiting beyond the timeout is giving up now")
}

func TestCalls_EndWhenTheServerGoesSilent(t *testing.T) {
	s := clienttest.New(t)
	s.Fault = func(*http.Request) clienttest.Fault { return clienttest.Fault{Stall: true} }
	c := newClient(t, s, 30*time.Millisecond)
	_, err := c.Put(t.Context(), "/x", BytesSource([]byte(large)), PutOptions{})
	assert.Equal(t, model.CodeDeadlineExceeded, model.CodeOf(err))
	_, err = c.Get(t.Context(), "/x", &memorySink{}, Resume{}, nil)
	assert.Equal(t, model.CodeDeadlineExceeded, model.CodeOf(err))
	_, err = c.Head(t.Context(), "/x")
	assert.Equal(t, model.CodeDeadlineExceeded, model.CodeOf(err))
}

func TestCalls_EndWhenInterrupted(t *testing.T) {
	s := clienttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.Fault = func(*http.Request) clienttest.Fault { return clienttest.Fault{Before: cancel, Stall: true} }
	_, err := newClient(t, s, time.Minute).Put(ctx, "/x", BytesSource(nil), PutOptions{})
	require.Error(t, err)
	assert.Contains(t, Message(err), "interrupted")
}

func TestFirstContact_WithNobodyThereFailsAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	c, err := New(Options{Server: address, OnRetry: func(error, time.Duration) { t.Error("retried") }})
	require.NoError(t, err)
	_, err = c.Status(t.Context())
	require.Error(t, err)
	assert.True(t, Unreachable(err))
	assert.Contains(t, Message(err), "nothing listens at http://"+address)

	c.met.Store(true) // the server has been there before: it may be restarting
	c.timeout, c.backOff, c.onRetry = 20*time.Millisecond, time.Millisecond, func(error, time.Duration) {}
	_, err = c.Status(t.Context())
	assert.Contains(t, Message(err), "gave up after")
	assert.True(t, Unreachable(err))
}

func TestGet_ResumesWhereTheConnectionBroke(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/x", large)
	failing(s, http.MethodGet, clienttest.Fault{CutAfter: 1_000_000}, clienttest.Fault{Status: 503, Code: "unavailable"}, clienttest.Fault{CutAfter: 500_000})
	sink, progress := &memorySink{}, int64(0)
	info, err := newClient(t, s, time.Minute).Get(t.Context(), "/x", sink, Resume{}, func(n int64) { progress += n })
	require.NoError(t, err)
	assert.Equal(t, large, sink.String())
	assert.Equal(t, int64(len(large)), info.SizeBytes)
	assert.Equal(t, int64(len(large)), progress)
	assert.Zero(t, sink.restarts)
	assert.Equal(t, 4, s.Count("GET"))
}

func TestGet_BeginsAnewWhenTheFileWasReplaced(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/x", large)
	replace := func() { s.Store("/x", "new content") }
	failing(s, http.MethodGet, clienttest.Fault{CutAfter: 1_000_000}, clienttest.Fault{Before: replace})
	sink, progress := &memorySink{}, int64(0)
	_, err := newClient(t, s, time.Minute).Get(t.Context(), "/x", sink, Resume{}, func(n int64) { progress += n })
	require.NoError(t, err)
	assert.Equal(t, "new content", sink.String())
	assert.Equal(t, 1, sink.restarts)
	assert.Equal(t, int64(11), progress)
}

func TestGet_BeginsAnewWhenTheRangeIsIgnored(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/x", large)
	failing(s, http.MethodGet, clienttest.Fault{CutAfter: 1_000_000}, clienttest.Fault{IgnoreRange: true})
	sink := &memorySink{}
	_, err := newClient(t, s, time.Minute).Get(t.Context(), "/x", sink, Resume{}, nil)
	require.NoError(t, err)
	assert.Equal(t, large, sink.String())
	assert.Equal(t, 1, sink.restarts)
}

func TestGet_ContinuesWhatAnEarlierRunLeft(t *testing.T) {
	s := clienttest.New(t)
	f := s.Store("/x", large)
	part := []byte(large[:12345])
	for name, c := range map[string]struct {
		etag, part string
		restarts   int
	}{
		"the same version":    {f.ETag(), string(part), 0},
		"another version":     {`"v0"`, string(part), 1},
		"all of it and more":  {f.ETag(), large, 1},
		"nothing":             {"", "", 0},
		"all but a last byte": {f.ETag(), large[:len(large)-1], 0},
	} {
		sink := &memorySink{}
		sink.WriteString(c.part)
		from := Resume{Bytes: int64(len(c.part)), ETag: c.etag, CRC: UpdateChecksum(0, []byte(c.part))}
		_, err := newClient(t, s, time.Minute).Get(t.Context(), "/x", sink, from, nil)
		require.NoError(t, err, name)
		assert.Equal(t, large, sink.String(), name)
		assert.Equal(t, c.restarts, sink.restarts, name)
	}
}

func TestGet_RefusesContentItCannotVerify(t *testing.T) {
	for name, fault := range map[string]clienttest.Fault{"a wrong bit": {FlipBit: true}, "no checksum": {OmitChecksum: true}} {
		s := clienttest.New(t)
		s.Store("/x", "hello")
		failing(s, http.MethodGet, fault)
		_, err := newClient(t, s, time.Minute).Get(t.Context(), "/x", &memorySink{}, Resume{}, nil)
		assert.Equal(t, model.CodeCorrupt, model.CodeOf(err), name)
	}
}

type fullSink struct{ memorySink }

func (*fullSink) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestGet_EndsWhenTheTargetCannotBeWritten(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/x", "hello")
	_, err := newClient(t, s, time.Minute).Get(t.Context(), "/x", &fullSink{}, Resume{}, nil)
	require.Error(t, err)
	assert.Equal(t, "get /x: no space left on device", Message(err))
	assert.Equal(t, 1, s.Count("GET"))
}

func TestList_PagesThroughEverythingInOrder(t *testing.T) {
	s := clienttest.New(t)
	s.PageLimit = 2
	for _, p := range []string{"/a/1", "/a/2", "/a/b/1", "/a/b/2", "/a.txt", "/c d/ü", "/z"} {
		s.Store(p, p)
	}
	failing(s, http.MethodGet, clienttest.Fault{}, clienttest.Fault{ResetFirst: true}, clienttest.Fault{Status: 503, Code: "no_master"})
	c := newClient(t, s, time.Minute)
	names := func(prefix, delimiter string) (out []string) {
		for e, err := range c.List(t.Context(), prefix, delimiter) {
			require.NoError(t, err)
			out = append(out, e.name())
		}
		return out
	}
	assert.Equal(t, []string{"/a.txt", "/a/1", "/a/2", "/a/b/1", "/a/b/2", "/c d/ü", "/z"}, names("", ""))
	assert.Equal(t, []string{"/a.txt", "/a/", "/c d/", "/z"}, names("/", "/"))
	assert.Equal(t, []string{"/a/1", "/a/2", "/a/b/"}, names("/a/", "/"))
	assert.Empty(t, names("/nothing", ""))
}

func TestDelete_IsDoneWhenOnlyTheAnswerWasLost(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/x", "hello")
	failing(s, http.MethodDelete, clienttest.Fault{ResetAfter: true})
	c := newClient(t, s, time.Minute)
	require.NoError(t, c.Delete(t.Context(), "/x"))
	assert.Empty(t, s.Files())
	failing(s, http.MethodDelete, clienttest.Fault{Status: 503, Code: "no_master"})
	assert.Equal(t, model.CodeNotFound, model.CodeOf(c.Delete(t.Context(), "/x")), "a plain refusal before hides no deletion")
}

func TestMove_IsNeverRepeatedWhenItMayHaveBeenDone(t *testing.T) {
	s := clienttest.New(t)
	c := newClient(t, s, time.Minute)
	s.Store("/x", "hello")
	failing(s, http.MethodPost, clienttest.Fault{ResetAfter: true})
	err := c.Move(t.Context(), "/x", "/y", false)
	assert.Equal(t, model.CodeOutcomeUnknown, model.CodeOf(err))
	assert.Contains(t, Message(err), "look with tiercel ls")
	assert.Equal(t, 1, s.Count("POST"))

	failing(s, http.MethodPost, clienttest.Fault{Status: 503, Code: "no_master"})
	require.NoError(t, c.Move(t.Context(), "/y", "/z", false), "it certainly was not done, so it is repeated")
	assert.Equal(t, map[string]string{"/z": "hello"}, s.Files())
	require.NoError(t, c.Copy(t.Context(), "/z", "/y", 5, false))
	assert.Equal(t, model.CodeConflict, model.CodeOf(c.Copy(t.Context(), "/z", "/y", 5, false)))
	require.NoError(t, c.Copy(t.Context(), "/z", "/y", 5, true))
}

func TestTenant_TravelsWithEveryCall(t *testing.T) {
	s := clienttest.New(t)
	c, err := New(Options{Server: s.URL, Tenant: "acme"})
	require.NoError(t, err)
	_, err = c.Put(t.Context(), "/x", BytesSource([]byte("1")), PutOptions{})
	require.NoError(t, err)
	assert.Empty(t, s.Files())
	_, err = c.Head(t.Context(), "/x")
	assert.NoError(t, err)
	_, err = newClient(t, s, time.Minute).Head(t.Context(), "/x")
	assert.Equal(t, model.CodeNotFound, model.CodeOf(err))
}
