package recovery

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/store"
)

func TestLeftBehind_WithoutASnapshotThereIsNoCount(t *testing.T) {
	_, err := LeftBehind("take over", store.NewMemFS(1), []uint64{1})
	require.Error(t, err)
	assert.ErrorContains(t, err, "take over")
}
