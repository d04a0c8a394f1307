package planted

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlantedBugsAreCaught plants every bug of testdata, each in a build of its
// own. Run one with -run TestPlantedBugsAreCaught/<name>.
func TestPlantedBugsAreCaught(t *testing.T) {
	bugs, err := LoadDir("testdata")
	require.NoError(t, err)
	require.NotEmpty(t, bugs)
	h, err := NewHarness("../..", t.TempDir())
	require.NoError(t, err)
	ctx := t.Context()
	for _, bug := range bugs {
		t.Run(bug.Name, func(t *testing.T) {
			t.Parallel()
			caught, err := h.Try(ctx, bug)
			if err != nil {
				t.Fatalf("%s (%s): %v", bug.What, bug.Rule, err)
			}
			t.Logf("%s (%s): caught by %s", bug.What, bug.Rule, caught)
		})
	}
}
