package edge_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"

	"tiercel/actors"
	"tiercel/cluster/model"
	"tiercel/messages"
	"time"
)

// entry is an item of a batch in a test: content, or why there is none.
type entry struct {
	path string
	body []byte
	tier model.Tier
	err  error // of the item
	fail error // of the body, behind half of it
}

// batch sends entries, and returns what was answered and what ended it.
func (n *node) batch(t *testing.T, entries ...entry) (answers []answer, err error) {
	t.Helper()
	at := 0
	err = n.PutBatch(t.Context(), &model.BatchRequest{Tenant: "default", Next: func() (*model.BatchItem, error) {
		if at == len(entries) {
			return nil, io.EOF
		}
		e := entries[at]
		at++
		it := &model.BatchItem{Path: e.path, Tier: e.tier, Size: int64(len(e.body)), Body: bytes.NewReader(e.body), Err: e.err}
		if e.fail != nil {
			it.Body = io.MultiReader(bytes.NewReader(e.body[:len(e.body)/2]), iotest.ErrReader(e.fail))
		}
		return it, nil
	}}, func(index int, path string, reply *messages.PutReply, err error) {
		require.Equal(t, len(answers), index, "answers come in order")
		answers = append(answers, answer{path, reply, err})
	})
	return answers, err
}

type answer struct {
	path  string
	reply *messages.PutReply
	err   error
}

func codesOf(answers []answer) (out []model.Code) {
	for _, a := range answers {
		out = append(out, model.CodeOf(a.err))
	}
	return out
}

func TestPutBatch_EverySizeArrivesAndIsAnsweredInOrder(t *testing.T) {
	for name, credit := range map[string]int64{"plenty": 256 << 20, "as little as can be": 0} {
		t.Run(name, func(t *testing.T) {
			n, _ := start(t, t.TempDir(), credit)
			var entries []entry
			for i, size := range []int{0, 1, 4096, 8 << 10, 64<<10 + 1, 600 << 10, model.MaxExtentBytes, 7, 2*model.MaxExtentBytes + 5, 3 << 20, 5 << 20, 2 << 20, 0} {
				entries = append(entries, entry{path: fmt.Sprintf("/models/batch/%d", i), body: content(size)})
			}
			answers, err := n.batch(t, entries...)
			require.NoError(t, err)
			require.Len(t, answers, len(entries))
			for i, a := range answers {
				require.NoError(t, a.err, a.path)
				assert.Equal(t, entries[i].path, a.path)
				assert.Equal(t, crc(entries[i].body), a.reply.Row.Crc32C)
				assert.True(t, bytes.Equal(entries[i].body, n.read(t, a.path)), a.path)
			}
		})
	}
}

func TestPutBatch_EqualPathsTakeEffectInOrder(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0)
	var entries []entry
	for i := range 60 {
		entries = append(entries, entry{path: fmt.Sprintf("/models/same/%d", i%3), body: fmt.Appendf(nil, "%d", i)})
	}
	answers, err := n.batch(t, entries...)
	require.NoError(t, err)
	for i, a := range answers {
		require.NoError(t, a.err)
		if i >= 3 {
			assert.Greater(t, a.reply.Row.Version, answers[i-3].reply.Row.Version)
		}
		assert.Equal(t, i < 3, a.reply.Result.Created)
	}
	for i := range 3 {
		assert.Equal(t, fmt.Sprint(57+i), string(n.read(t, fmt.Sprintf("/models/same/%d", i))))
	}
}

func TestPutBatch_ABadItemFailsAlone(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0, func(o *actors.Options) { o.License = signed.DevelopmentSet(license.Free, time.Now()) })
	bad := model.Errorf(model.CodeTooLarge, "test", "a bad item")
	answers, err := n.batch(t,
		entry{path: "/models/a", body: []byte("a")},
		entry{path: "what the client wrote", err: bad},
		entry{path: "/models/licence", body: []byte("b"), tier: model.TierCritical},
		entry{path: "not/checked", body: []byte("c")},
		entry{path: "/models/b", body: []byte("d")})
	require.NoError(t, err)
	assert.Equal(t, []model.Code{"", model.CodeTooLarge, model.CodeLicenseDenied, model.CodeInvalidArgument, ""}, codesOf(answers))
	assert.Equal(t, "d", string(n.read(t, "/models/b")))
}

func TestPutBatch_WhatCameBeforeABrokenBodyIsStored(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0)
	for name, size := range map[string]int{"small": 10, "large": model.MaxExtentBytes + 1} {
		answers, err := n.batch(t,
			entry{path: "/models/before", body: []byte(name)},
			entry{path: "/models/broken", body: content(size), fail: io.ErrUnexpectedEOF},
			entry{path: "/models/behind", body: []byte("never read")})
		assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), name)
		assert.Equal(t, []model.Code{""}, codesOf(answers), name)
		assert.Equal(t, name, string(n.read(t, "/models/before")))
		for _, path := range []string{"/models/broken", "/models/behind"} {
			_, err = n.Stat(t.Context(), "default", path, false)
			assert.Equal(t, model.CodeNotFound, model.CodeOf(err), path)
		}
	}
	// All memory came back: a body that needs the whole credit is taken.
	_, err := n.Put(t.Context(), put("/models/large", content(5*model.MaxExtentBytes)))
	require.NoError(t, err)
}
