package catalog_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/messages"
)

func TestRefuseAsked_LetsOtherNodesLogOnlyWhatGatewaysAskFor(t *testing.T) {
	allowed := map[string]bool{}
	for name, cmd := range extremes() {
		if catalog.RefuseAsked(cmd) == "" {
			kind, _, _ := strings.Cut(name, " ")
			allowed[kind] = true
		}
	}
	assert.Equal(t, []string{"abort_upload", "commit_upload", "delete_file", "move_file", "open_session", "put_file", "stage_extents"},
		slices.Sorted(maps.Keys(allowed)))
}

func TestRefuseAsked_KeepsOutWhatWouldStopEveryCatalog(t *testing.T) {
	assert.Contains(t, catalog.RefuseAsked(&messages.Command{}), "upgrade its node")
	assert.Contains(t, catalog.RefuseAsked(nil), "upgrade its node")
	assert.Contains(t, catalog.RefuseAsked(checkHash(9, make([]byte, 16))), "the master's own")
	newer := deleteFile("/a", nil)
	data, err := proto.Marshal(newer)
	assert.NoError(t, err)
	data = append(data, 0xf8, 0x3f, 1) // field 1023
	assert.NoError(t, proto.Unmarshal(data, newer))
	assert.Contains(t, catalog.RefuseAsked(newer), "does not know")
}
