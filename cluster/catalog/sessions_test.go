package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// as puts a command under a session by hand.
func as(session, sequence, low uint64, cmd *messages.Command) *messages.Command {
	cmd.Session, cmd.Sequence, cmd.LowWater = session, sequence, low
	return cmd
}

func TestSession_AnswersARetryWithTheSameResultAndAppliesNothing(t *testing.T) {
	r := newRig(t)
	first := r.mustDo(as(r.session, 1, 0, r.put("/a", 10)))
	r.mustDo(as(r.session, 2, 0, deleteFile("/a", nil)))

	before := r.rows()
	again := r.do(as(r.session, 1, 0, r.put("/a", 10)))
	assert.True(t, proto.Equal(first, again))
	assert.Equal(t, before, r.rows(), "a delayed retry does not bring the file back")
}

func TestSession_AnswersARefusalAgainThoughItWouldSucceedNow(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 10))
	conditional := func() *messages.Command {
		cmd := r.put("/a", 5)
		cmd.GetPutFile().File.Conditions = &messages.Conditions{MustNotExist: true}
		return as(r.session, 1, 0, cmd)
	}
	first := r.refuses(model.CodePreconditionFailed, conditional())
	r.mustDo(deleteFile("/a", nil))
	again := r.refuses(model.CodePreconditionFailed, conditional())
	assert.True(t, proto.Equal(first, again), "same code, details and sentence: %v, %v", first, again)
	assert.NotContains(t, r.ix.rows["s/"+hex16(r.session)], "which the condition excludes", "sentences are no part of the state")
}

func TestSession_ForgetsAtLowWaterAndThenSaysThatItDoesNotKnow(t *testing.T) {
	r := newRig(t)
	for seq := uint64(1); seq <= 4; seq++ {
		r.mustDo(as(r.session, seq, 0, r.put("/a", 10)))
	}
	r.mustDo(as(r.session, 5, 3, r.put("/a", 10)))
	row, ok := r.c.Session(r.session)
	require.True(t, ok)
	assert.Equal(t, uint64(3), row.LowWater)
	require.Len(t, row.Results, 2)
	assert.Equal(t, uint64(4), row.Results[0].Sequence)

	for _, seq := range []uint64{0, 1, 3} {
		r.refuses(model.CodeOutcomeUnknown, as(r.session, seq, 0, r.put("/b", 10)))
	}
	assert.Empty(t, r.do(as(r.session, 4, 0, r.put("/b", 10))).Code)
	row, _ = r.c.Session(r.session)
	assert.Equal(t, uint64(3), row.LowWater, "low water never falls")
}

func TestSession_ARetryRaisesLowWaterToo(t *testing.T) {
	r := newRig(t)
	r.mustDo(as(r.session, 1, 0, r.put("/a", 10)))
	r.mustDo(as(r.session, 1, 1, r.put("/a", 10)))
	r.refuses(model.CodeOutcomeUnknown, as(r.session, 1, 0, r.put("/a", 10)))
}

func TestSession_TakesSequencesInAnyOrder(t *testing.T) {
	r := newRig(t)
	for _, seq := range []uint64{5, 2, 9, 1, 7} {
		r.mustDo(as(r.session, seq, 0, r.put("/a", seq)))
	}
	row, _ := r.c.Session(r.session)
	var seqs []uint64
	for _, res := range row.Results {
		seqs = append(seqs, res.Sequence)
	}
	assert.Equal(t, []uint64{1, 2, 5, 7, 9}, seqs)
}

func TestSession_UnknownMeansThatTheOutcomeIsUnknown(t *testing.T) {
	r := newRig(t)
	r.refuses(model.CodeOutcomeUnknown, as(999, 1, 0, r.put("/a", 10)))
}

func TestOpenSession_EndsTheNodesEarlierIncarnations(t *testing.T) {
	r := newRig(t)
	other := r.mustDo(openSession("n-other", 1)).Id
	same := r.mustDo(openSession("n-gw", 1)).Id
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 10, 10)))).Id
	assert.Equal(t, int64(100), r.volume(1).LiveBytes)

	next := r.mustDo(openSession("n-gw", 2)).Id
	assert.Equal(t, r.index, next, "a session's id is the log index that opened it")
	r.refuses(model.CodeOutcomeUnknown, as(r.session, 50, 0, r.put("/a", 10)))
	r.refuses(model.CodeOutcomeUnknown, as(same, 50, 0, r.put("/a", 10)))
	r.mustDo(as(other, 1, 0, r.put("/a", 10)))
	r.refuses(model.CodeNotFound, as(next, 1, 0, commitUpload(file("/u", 20), upload, 2)))
	assert.Equal(t, int64(50), r.volume(1).LiveBytes, "what the ended session had staged is released")
	assert.Zero(t, r.ix.count("m/")+r.ix.count("u/")+r.ix.count("g/"))

	r.refuses(model.CodeStaleEpoch, openSession("n-gw", 1))
	r.refuses(model.CodeInvalidArgument, openSession("", 1))
}

func TestOpenSession_MayEndTheSessionItWasSentIn(t *testing.T) {
	r := newRig(t)
	r.mustDo(as(r.session, 1, 0, openSession("n-gw", 2)))
	r.refuses(model.CodeOutcomeUnknown, as(r.session, 1, 0, openSession("n-gw", 2)))
}

func TestOpenSession_BoundsTheSessionsOfOneIncarnation(t *testing.T) {
	r := newRig(t)
	for range catalog.MaxSessionsPerIncarnation {
		r.mustDo(openSession("n-gw", 1))
	}
	_, ok := r.c.Session(r.session)
	assert.False(t, ok, "the oldest has ended")
	assert.Equal(t, catalog.MaxSessionsPerIncarnation, r.ix.count("s/"))
}

func TestSession_RefusesWhenItKeepsTooManyResults(t *testing.T) {
	r := newRig(t)
	r.c.Begin()
	for seq := uint64(1); seq <= catalog.MaxSessionResults; seq++ {
		r.index++
		_, err := r.c.Apply(r.index, as(r.session, seq, 0, deleteFile("/none", nil)))
		require.NoError(t, err)
	}
	r.c.End()
	const next = catalog.MaxSessionResults + 1
	res := r.refuses(model.CodeOverloaded, as(r.session, next, 0, r.put("/a", 10)))
	assert.Equal(t, "65536", res.Details["results"])
	r.mustDo(as(r.session, next, 10, r.put("/a", 10))) // not recorded, and low water makes room
}
