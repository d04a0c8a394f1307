package placement

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFullUpTo_NamesTheBoundThatWasMet(t *testing.T) {
	for _, c := range []struct {
		free  uint64
		share float64
		want  string
	}{
		{50, 0.5, "up to disk.read_only_used_share (0.5)"},
		{10, 0.5, "up to disk.read_only_used_share (0.5)"},
		{51, 0.5, "up to the reserve"}, {10, 0, "up to the reserve"}, {0, 1, "up to the reserve"},
	} {
		assert.Equal(t, c.want, FullUpTo(100, c.free, c.share), "%d free of 100, share %g", c.free, c.share)
	}
}
