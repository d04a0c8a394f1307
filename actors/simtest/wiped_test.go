package simtest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

// wipe removes everything below the directories of a stopped host's disk.
func (h *host) wipe(t *testing.T, dirs ...string) {
	t.Helper()
	fs := h.node.FS()
	for _, name := range fs.Names() {
		for _, dir := range dirs {
			if strings.HasPrefix(name, dir+"/") && !strings.HasSuffix(name, "/") {
				require.NoError(t, fs.Remove(name))
				require.NoError(t, fs.SyncDir(name[:strings.LastIndexByte(name, '/')]))
			}
		}
	}
}

func TestStory_AVoterWhoseLogWasWipedDoesNotVoteUnderItsOldID(t *testing.T) {
	for _, dirs := range [][]string{{"log"}, {"log", "snapshots"}} {
		for number := range 3 { // the founder and those that joined
			p := newClusterProbe(t, 800+uint64(number), 3)
			p.host = p.story.master()
			require.Nil(t, p.put("/models/a", "acknowledged", nil).Error)
			victim := p.story.hosts[number]
			victim.turnOff(false)
			victim.wipe(t, dirs...)
			// The other two were not asked yet: whoever is master then may be the one that
			// does not have the newest entries.
			p.story.world.Run(time.Second)
			victim.node.Restart()
			require.True(t, p.story.world.RunUntil(func() bool { return !victim.node.Up() }, 10*time.Second), "%v: %s votes again", dirs, victim.name)
			assert.Equal(t, model.CodeCorrupt, model.CodeOf(victim.node.Halted()), "%v: %v", dirs, victim.node.Halted())
			for _, h := range p.story.living() {
				p.host = h
			}
			assert.Equal(t, "acknowledged", p.value("/models/a"))
		}
	}
}
