package tokens

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Whatever a file holds is refused, or a table of tokens that are each right.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("tokens:\n  - name: a\n    role: admin\n    cluster: true\n    sha256: 5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9\n"))
	f.Add([]byte("tokens: []\n"))
	f.Add([]byte("tokens: &a [*a]\n"))
	f.Add([]byte("tokens:\n  - {name: b, role: read-only, tenant: t, expires: 2027-01-01}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		table, problems := decode(text)
		if len(problems) > 0 {
			assert.Nil(t, table)
			return
		}
		for _, e := range table.Entries() {
			assert.Empty(t, e.Check())
			who := e.Principal()
			assert.Equal(t, e.Cluster, who.Cluster())
			_ = e.Expired(time.Unix(0, 0))
		}
	})
}
