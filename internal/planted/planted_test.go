package planted

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlantedBugsAreCaught plants every bug of testdata, each in a build of its
// own. Run one with -run TestPlantedBugsAreCaught/<name>. PLANTED_SHARE=K/N tries the
// K-th of N shares only (make test takes another one each time); of the rest it is
// checked that they fit the code.
func TestPlantedBugsAreCaught(t *testing.T) {
	bugs, err := LoadDir("testdata")
	require.NoError(t, err)
	require.NotEmpty(t, bugs)
	share, err := ParseShare(os.Getenv("PLANTED_SHARE"))
	require.NoError(t, err)
	h, err := NewHarness("../..", t.TempDir())
	require.NoError(t, err)
	ctx := t.Context()
	for _, bug := range bugs {
		t.Run(bug.Name, func(t *testing.T) {
			t.Parallel()
			if !share.Has(bug.Name) {
				_, err := h.overlay(bug)
				require.NoError(t, err)
				return
			}
			caught, err := h.Try(ctx, bug)
			if err != nil {
				t.Fatalf("%s (%s): %v", bug.What, bug.Rule, err)
			}
			t.Logf("%s (%s): caught by %s", bug.What, bug.Rule, caught)
		})
	}
}
