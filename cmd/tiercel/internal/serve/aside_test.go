package serve

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cmd/tiercel/internal/config"
	"tiercel/store"
)

func TestTellAside_WarnsOfWhatWasSetAsideAndHowItCouldHaveBeenKept(t *testing.T) {
	var out bytes.Buffer
	s := &serving{cfg: config.Server{DataDir: "/srv/t"}, log: slog.New(slog.NewTextHandler(&out, nil))}
	s.tellAside(nil)
	assert.Empty(t, out.String())
	s.tellAside(&store.Aside{Dir: "quarantine/superseded-2-1", Node: "n-1", Superseded: 2, Volumes: 3, Bytes: 4096})
	for _, say := range []string{"level=WARN", "dir=/srv/t/quarantine/superseded-2-1", "was=n-1", "volumes=3", "bytes=4096", "recover --worker", "No command puts them back"} {
		assert.Contains(t, out.String(), say)
	}
}
