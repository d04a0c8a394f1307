package license

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

// labelled is a worker in a datacenter, with the label it was started with if it waits.
func labelled(dc, asked string) *messages.WorkerRow {
	return &messages.WorkerRow{Dc: dc, DcAsked: asked}
}

func TestRelabel_WaitsUntilAllWorkersSaySoOrALicenceHasDatacenters(t *testing.T) {
	gone := &messages.WorkerRow{Dc: "c", DcAsked: "d", State: messages.WorkerState_LEFT}
	for _, c := range []struct {
		says       string
		rows       []*messages.WorkerRow
		one, sites []int // places that change, by a licence for one datacenter and for many
	}{
		{"nobody asks", []*messages.WorkerRow{labelled("a", ""), labelled("a", "")}, nil, nil},
		{"one asks", []*messages.WorkerRow{labelled("a", "b"), labelled("a", "")}, nil, []int{0}},
		{"all ask for the same", []*messages.WorkerRow{labelled("a", "b"), labelled("a", "b")}, []int{0, 1}, []int{0, 1}},
		{"they ask for different ones", []*messages.WorkerRow{labelled("a", "b"), labelled("a", "c")}, nil, []int{0, 1}},
		{"the last one is there already", []*messages.WorkerRow{labelled("a", "b"), labelled("b", "")}, []int{0}, []int{0}},
		{"one has no label", []*messages.WorkerRow{labelled("", ""), labelled("a", "b")}, []int{1}, []int{1}},
		{"one has left", []*messages.WorkerRow{gone, labelled("a", "b")}, []int{1}, []int{1}},
		{"one has left, another stays", []*messages.WorkerRow{gone, labelled("a", "b"), labelled("a", "")}, nil, []int{1}},
		{"a minority stays", []*messages.WorkerRow{labelled("a", "b"), labelled("a", "b"), labelled("a", "b"), labelled("a", "")}, nil, []int{0, 1, 2}},
	} {
		for _, level := range Levels {
			want := c.one
			if level == Enterprise {
				want = c.sites
			}
			assert.Equal(t, want, granted(level).Relabel(c.rows), "%s at %s", c.says, level)
		}
	}
}

func TestDescribeIn_WarnsOfLabelsThatWaitAndSaysWhatToDo(t *testing.T) {
	row := &messages.LicenseRow{Id: "l-1", Level: string(Professional), ExpiresUnixMs: 1 << 50}
	nodes, rows := []string{"n-1", "n-2", "n-3", "n-4"}, []*messages.WorkerRow{
		labelled("esat", ""), labelled("esat", "east"), labelled("esat", "east"), {Dc: "esat", DcAsked: "west", State: messages.WorkerState_LEFT},
	}
	info := DescribeIn(row, nodes, rows, time.UnixMilli(0))
	require.Len(t, info.Warnings, 1)
	assert.Equal(t, "started with --dc east and kept in datacenter esat: n-2 and n-3. cross-datacenter replication is not part of the licence level professional, so a label counts when all workers have it. "+
		"If east is right, start the others with it, too (n-1), or remove those that are gone; if it is not, start these with the one they had", info.Warnings[0])
	assert.EqualValues(t, 3, info.Workers)
	for i := range 20 {
		nodes, rows = append(nodes, fmt.Sprintf("m-%02d", i)), append(rows, labelled("esat", "west"))
	}
	info = DescribeIn(row, nodes, rows, time.UnixMilli(0))
	assert.Contains(t, info.Warnings[len(info.Warnings)-1], ": m-00, m-01, m-02, m-03, m-04 and 15 more. ")
	assert.Empty(t, DescribeIn(row, nodes[:1], rows[:1], time.UnixMilli(0)).Warnings)
}
