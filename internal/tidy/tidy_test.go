package tidy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTree_KeepsTheRulesOfTheHouse is the architecture test.
func TestTree_KeepsTheRulesOfTheHouse(t *testing.T) {
	tree, err := Load("../..")
	require.NoError(t, err)
	require.Greater(t, len(tree.files), 20, "the walk found the source")

	violations := Check(tree)
	if len(violations) == 0 {
		return
	}
	var report strings.Builder
	for _, v := range violations {
		report.WriteString(v.String() + "\n")
	}
	t.Fatalf("%d places break the rules of the house (internal/tidy):\n%s", len(violations), report.String())
}
