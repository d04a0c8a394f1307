package simtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/actors/recovery"
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
	for _, dirs := range [][]string{{"log"}, {"snapshots"}, {"log", "snapshots"}} {
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
			left := victim.node.FS().Names()
			for range 2 { // the first try leaves nothing behind that the second would take for a log
				victim.node.Restart()
				require.True(t, p.story.world.RunUntil(func() bool { return !victim.node.Up() }, 10*time.Second), "%v: %s votes again", dirs, victim.name)
				require.Equal(t, model.CodeCorrupt, model.CodeOf(victim.node.Halted()), "%v: %v", dirs, victim.node.Halted())
				require.Equal(t, left, victim.node.FS().Names(), "%v of %s: what begins anew would be taken for its log", dirs, victim.name)
			}
			_, err := actors.TakeOver(victim.node.FS(), randomReader{p.story.random}, false)
			assert.Equal(t, model.CodeConflict, model.CodeOf(err), "%v of %s: there is no log to take over with: %v", dirs, victim.name, err)
			assert.ErrorContains(t, err, dirs[0]+"/ is empty")
			for _, h := range p.story.living() {
				p.host = h
			}
			assert.Equal(t, "acknowledged", p.value("/models/a"))
		}
	}
}

// Found by a drill: the only advice was an empty directory, which loses what only this
// node holds; and one that was made a worker all the same passed for the voter it had been.
func TestStory_AVoterThatLostItsLogComesBackWithItsVolumesAndVotesUnderAnotherID(t *testing.T) {
	for number := range 6 {
		p := filled(t, 810+uint64(number), 3)
		victim := p.story.hosts[number%3]
		victim.turnOff(false) // a power cut may take what tier 3 has not synced
		victim.wipe(t, "log")
		p.story.world.Run(2 * time.Second)
		old := victim.data.Dir.Identity().RaftID

		_, err := recovery.AsWorker(recovery.Options{
			Dirs:   []recovery.Dir{{Name: string(victim.name), FS: victim.node.FS(), Node: victim.name}},
			Random: randomReader{p.story.random}, Now: p.story.world.Now(), Apply: true, DiscardLog: true,
		})
		require.NoError(t, err)
		victim.turnOn()
		votes := func(h *host) bool {
			m := p.story.master()
			return m != nil && m.conf != nil && h.data != nil && slices.Contains(m.conf().Voters, h.data.Dir.Identity().RaftID)
		}
		require.True(t, p.story.world.RunUntil(func() bool { return votes(victim) && len(p.story.master().conf().Voters) == 3 }, 2*time.Minute), "%s", p.story.state())
		assert.NotEqual(t, old, victim.data.Dir.Identity().RaftID)
		assert.NotContains(t, p.story.master().conf().Voters, old)

		p.host = p.story.master()
		p.wholeAgain("it is back with its volumes")
		p.readBack()
		// It counts: with it and without another one the cluster goes on.
		for _, h := range p.story.hosts {
			if h != victim && h != p.story.master() {
				h.turnOff(false)
				break
			}
		}
		p.story.world.Run(2 * time.Second)
		p.host = p.story.master()
		require.Nil(t, p.put("/sessions/after", "after", nil).Error)
		require.Empty(t, p.story.bad)
	}
}
