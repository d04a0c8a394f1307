package health_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/health"
)

func TestJudgeClaim(t *testing.T) {
	known := health.Claim{Address: "a:1", Incarnation: 5, Boot: 77}
	byRow := health.Claim{Address: "a:1", Incarnation: 5} // a new master has not heard it yet
	for _, c := range []struct {
		what         string
		known, claim health.Claim
		want         health.Verdict
	}{
		{"the same process", known, health.Claim{Address: "a:1", Incarnation: 5, Boot: 77}, health.Welcome},
		{"the same process at another address", known, health.Claim{Address: "b:1", Incarnation: 5, Boot: 77}, health.Welcome},
		{"the next start in the same place", known, health.Claim{Address: "a:1", Incarnation: 6, Boot: 78}, health.Welcome},
		{"a newer start elsewhere: moved or copied", known, health.Claim{Address: "b:1", Incarnation: 6, Boot: 78}, health.Ask},
		{"an older start", known, health.Claim{Address: "b:1", Incarnation: 4, Boot: 76}, health.Refuse},
		{"an older start in the same place", known, health.Claim{Address: "a:1", Incarnation: 4, Boot: 76}, health.Refuse},
		{"a second process of the same start", known, health.Claim{Address: "b:1", Incarnation: 5, Boot: 78}, health.Refuse},
		{"a second process in the same place", known, health.Claim{Address: "a:1", Incarnation: 5, Boot: 78}, health.Refuse},
		{"the same start, known by its row only", byRow, health.Claim{Address: "a:1", Incarnation: 5, Boot: 78}, health.Welcome},
		{"the same start elsewhere, known by its row only", byRow, health.Claim{Address: "b:1", Incarnation: 5, Boot: 78}, health.Ask},
		{"a newer start elsewhere, known by its row only", byRow, health.Claim{Address: "b:1", Incarnation: 6, Boot: 78}, health.Ask},
		{"nobody is known", health.Claim{}, health.Claim{Address: "b:1", Incarnation: 1, Boot: 78}, health.Welcome},
	} {
		assert.Equal(t, c.want, health.JudgeClaim(c.known, c.claim), c.what)
	}
}
