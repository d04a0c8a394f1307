package serve

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestLicense_ARefusedNewcomerHearsWhatItsOwnFileWouldDo(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	own := func(level license.Level, most uint64, ends time.Duration) licence {
		text, err := signed.Issue(signed.Licence{ID: "l-own", Customer: "c", Level: level, MaxWorkers: most, Issued: now.Add(-time.Hour), Expires: now.Add(ends)}, signed.DevelopmentKey())
		require.NoError(t, err)
		return licence{text: text}
	}
	at := func(level license.Level) license.Grant {
		return license.Of(&messages.LicenseRow{Id: "l-1", Level: string(level)})
	}
	full, elsewhere := at(license.Standard).DenyWorker(2).Err("join"), at(license.Professional).DenyDC("b", []string{"a"}).Err("join")
	const runs = "run 'tiercel license install own.txt --server http://HOST:PORT', with the --http address of a node of the cluster, then start this node again"
	for _, c := range []struct {
		refusal error
		own     licence
		says    string
	}{
		{full, own(license.Professional, 0, time.Hour), "The licence l-own of --license own.txt (professional) allows it, but a node installs its licence only once it is in the cluster: " + runs},
		{elsewhere, own(license.Enterprise, 0, time.Hour), runs},
		{full, own(license.Professional, 2, time.Hour), "The licence l-own of --license own.txt (professional) does not allow it either"},
		{full, own(license.Standard, 0, time.Hour), "does not allow it either"},
		{elsewhere, own(license.Professional, 0, time.Hour), "does not allow it either"},
		{full, own(license.Enterprise, 0, -time.Minute), "The licence of --license own.txt is no help: the licence l-own expired at 2026-03-04T05:05:07Z"},
	} {
		got := c.own.beside(c.refusal, "own.txt", now)
		assert.Contains(t, got.Error(), c.says)
		assert.Contains(t, got.Error(), c.refusal.(*model.Error).Message, "what the cluster said comes first")
		assert.Equal(t, model.CodeLicenseDenied, model.CodeOf(got))
		assert.Equal(t, c.refusal, licence{}.beside(c.refusal, "", now), "without a file of its own it hears what the cluster says")
	}
	other := errors.New("something else")
	assert.Equal(t, other, own(license.Enterprise, 0, time.Hour).beside(other, "own.txt", now))
}
