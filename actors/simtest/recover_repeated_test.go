package simtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/recovery"
)

func TestStory_APutThatWasRepeatedIsNoFindWhereTheSameLiesAtItsPath(t *testing.T) {
	p := newClusterProbe(t, 960, 3)
	for path, value := range map[string]string{"/models/same": "same", "/models/other": "before", "/models/away": "away"} {
		require.Nil(t, p.put(path, value, nil).Error)
	}
	p.move("/models/away", "/models/there")
	p.journaled()
	// From here on nothing is journaled.
	for path, value := range map[string]string{"/models/same": "same", "/models/other": "after", "/models/away": "away"} {
		require.Nil(t, p.put(path, value, nil).Error)
	}
	p.story.loseTheLog(t, false)
	report, err := recovery.Recover(p.story.recoverOptions(p.story.hosts[0], true))
	require.NoError(t, err)
	var found []string
	for _, f := range report.Found {
		found = append(found, f.Original)
	}
	assert.EqualValues(t, 1, report.Identical)
	assert.ElementsMatch(t, []string{"/models/other", "/models/away"}, found, "what a rename took away from there is not there")
	p.comeBack(p.story.hosts[0])
	assert.Equal(t, "same", p.value("/models/same"))
	assert.Equal(t, "away", p.value("/models/there"))
	assert.False(t, strings.Contains(strings.Join(p.lostAndFound(), " "), "/models/same"))
}
