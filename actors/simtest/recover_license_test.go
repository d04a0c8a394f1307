package simtest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/recovery"
	"tiercel/cluster/license"
)

func TestStory_ARecoveryKeepsWhatItFindsWhateverTheLicence(t *testing.T) {
	for i, level := range []license.Level{license.Free, license.Standard} {
		p := newProbeOf(t, Params{Seed: 1990 + uint64(i), Nodes: 1, License: level})
		require.Nil(t, p.put("/models/a", "a", nil).Error)
		p.journaled()
		for _, path := range []string{"/models/late", "/vectors/late", "/cache/late"} {
			require.Nil(t, p.put(path, "late "+path, nil).Error)
		}
		p.story.loseTheLog(t, false)
		report, err := recovery.Recover(p.story.recoverOptions(p.host, true))
		require.NoError(t, err)
		assert.Empty(t, report.NotFound, "%s: a recovery asks for no tier", level)
		assert.NotEmpty(t, report.Found, "%s", level)
		p.comeBack(p.host)
		assert.Len(t, p.lostAndFound(), len(report.Found))
	}
}
