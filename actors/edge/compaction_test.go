package edge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
)

// A real node: most of what its volumes hold is deleted, so they are emptied and
// dropped, and what is left reads as before.
func TestClient_ReadsWhatCompactionHasMoved(t *testing.T) {
	n, _ := start(t, t.TempDir(), 0, func(o *actors.Options) { o.MaxVolumeBytes = 1 << 20 })
	const files, bytes = 24, 150_000
	for i := range files {
		_, err := n.Put(t.Context(), put(fmt.Sprintf("/models/%d", i), content(bytes+i)))
		require.NoError(t, err)
	}
	before, err := n.Stat(t.Context(), "default", "/models/0", true)
	require.NoError(t, err)
	for i := range files {
		if i%6 != 0 {
			_, err := n.Delete(t.Context(), "default", fmt.Sprintf("/models/%d", i), nil)
			require.NoError(t, err)
		}
	}
	old := before.Row.Extents[0].Volume
	gone := func() bool {
		s, err := n.Status(t.Context())
		if err != nil {
			return false // without a master for some seconds it rightly does not say
		}
		for _, v := range s.Volumes {
			if v.Id == old {
				return false
			}
		}
		return true
	}
	require.Eventually(t, gone, 3*time.Minute, 50*time.Millisecond)
	after, err := n.Stat(t.Context(), "default", "/models/0", true)
	require.NoError(t, err)
	assert.NotEqual(t, old, after.Row.Extents[0].Volume)
	assert.Equal(t, before.Row.Version, after.Row.Version)
	for i := 0; i < files; i += 6 {
		assert.Equal(t, content(bytes+i), n.read(t, fmt.Sprintf("/models/%d", i)))
	}
	_, err = n.Copy(t.Context(), "default", "/models/0", "/models/copy", false)
	require.NoError(t, err)
	assert.Equal(t, content(bytes), n.read(t, "/models/copy"))
}
