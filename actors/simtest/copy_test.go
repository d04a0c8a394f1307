package simtest

import (
	"io"
	"math/rand/v2"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/actors/recovery"
	"tiercel/actors/runtime"
	"tiercel/messages"
	"tiercel/store"
)

// copyDisk copies every file of a running node, as cp -r does.
func copyDisk(t *testing.T, from *store.MemFS) *store.MemFS {
	t.Helper()
	to := store.NewMemFS(99)
	for _, name := range from.Names() {
		in, err := from.OpenReadOnly(name)
		require.NoError(t, err)
		info, err := from.Stat(name)
		require.NoError(t, err)
		content := make([]byte, info.Size)
		if _, err := in.ReadAt(content, 0); err != nil {
			require.ErrorIs(t, err, io.EOF)
		}
		require.NoError(t, in.Close())
		require.NoError(t, to.MkdirAll(path.Dir(name)))
		out, err := to.Create(name)
		require.NoError(t, err)
		_, err = out.WriteAt(content, 0)
		require.NoError(t, err)
		require.NoError(t, out.Close())
	}
	return to
}

// bootsCopy starts a node on a copy of another one's disk.
func (p *probe) bootsCopy(seed uint64) func(runtime.Runtime) error {
	return func(rt runtime.Runtime) error {
		data, err := actors.OpenData(rt.FS(), randomReader{rand.New(rand.NewPCG(seed, 5))}, true)
		if err != nil {
			return err
		}
		opt := actors.DefaultOptions()
		opt.Tick, opt.HeartbeatInterval = masterHeartbeatInterval/10, heartbeatInterval
		opt.Worker = &messages.WorkerRow{DiskType: "nvme", Host: "copy", Address: rt.Address(), Version: "sim", Incarnation: rt.Incarnation()}
		opt.Join = []string{string(p.story.master().name)}
		_, err = actors.Start(rt, data, opt)
		return err
	}
}

// TestStory_ACopyOfADataDirectoryDoesNotDisplaceTheOriginal: a copy has been started
// once more than the original, so by its number alone it would be the newer one.
func TestStory_ACopyOfADataDirectoryDoesNotDisplaceTheOriginal(t *testing.T) {
	for seed := range uint64(3) {
		p := newClusterProbe(t, 300+seed, 5)
		p.story.world.Run(5 * heartbeatInterval)
		victim := p.story.hosts[4]
		if victim == p.story.master() {
			victim = p.story.hosts[3]
		}
		copied := p.story.world.AddCopy("copy", victim.name, copyDisk(t, victim.node.FS()), victim.node.Incarnation()+1, p.bootsCopy(seed))
		require.True(t, p.story.world.RunUntil(func() bool { return !copied.Up() }, 10*time.Second), "seed %d: the copy goes on", seed)
		assert.ErrorContains(t, copied.Halted(), "the data directory was copied", "seed %d", seed)
		p.story.world.Run(15 * heartbeatInterval)
		require.True(t, victim.node.Up(), "seed %d: %v", seed, victim.node.Halted())
		assert.Empty(t, p.transitions(string(victim.name)), "seed %d: the original is heard as before", seed)
		nodes, rows := p.story.master().catalog.Workers()
		for i, node := range nodes {
			if node == string(victim.name) {
				assert.Equal(t, node, rows[i].Address)
				assert.Equal(t, victim.node.Incarnation(), rows[i].Incarnation)
			}
		}
		assert.Empty(t, p.story.bad)
	}
}

// Found by a supervisor that starts again what ends: each refused start counted, and after a
// few of them an old copy of a voter passed for the newest start of its node, and voted.
func TestStory_AnOldCopyOfADataDirectoryIsRefusedHoweverOftenItIsStarted(t *testing.T) {
	for seed := range uint64(3) {
		p := newClusterProbe(t, 320+seed, 3)
		victim := p.story.hosts[1]
		victim.turnOff(false)
		old, starts := copyDisk(t, victim.node.FS()), victim.node.Incarnation()
		for range 3 {
			victim.turnOn()
			p.story.world.Run(3 * time.Second)
			victim.turnOff(false)
		}
		p.host = p.story.master()
		copied := p.story.world.AddCopy("copy", victim.name, old, starts+1, p.bootsCopy(seed))
		ends := func() bool { return !copied.Up() }
		require.True(t, p.story.world.RunUntil(ends, 10*time.Second), "seed %d: the copy goes on", seed)
		for range 6 { // more often than the original was
			copied.Restart()
			require.True(t, p.story.world.RunUntil(ends, 10*time.Second), "seed %d: the copy goes on", seed)
			assert.ErrorContains(t, copied.Halted(), "this directory was refused as a copy or an old backup", "seed %d", seed)
		}
		victim.turnOn()
		require.True(t, p.story.world.RunUntil(func() bool { return victim.ready }, time.Minute), "the original goes on")

		_, err := recovery.AsWorker(recovery.Options{
			Dirs: []recovery.Dir{{Name: "old", FS: copied.FS(), Node: victim.name}}, Random: randomReader{p.story.random}, Now: p.story.world.Now(), Apply: true, DiscardLog: true,
		})
		require.NoError(t, err)
		data, err := store.OpenDataDir(copied.FS(), randomReader{p.story.random}, true)
		require.NoError(t, err)
		assert.Zero(t, data.Identity().StaleAt, "a worker under another Raft id may come back")
		require.Empty(t, p.story.bad)
	}
}
