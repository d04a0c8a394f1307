package catalog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/catalog"
	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// To come with one label and start again with another is to go to another datacenter.
func TestLicense_AWorkerDoesNotMoveToAnotherDatacenterByAnotherLabel(t *testing.T) {
	r := licensed(t, license.Enterprise)
	at := func(n int, dc string) *messages.Command {
		return register(fmt.Sprintf("d-%d", n), func(w *messages.WorkerRow) { w.RaftId, w.Dc = uint64(100+n), dc })
	}
	r.mustDo(at(1, "east"))
	r.mustDo(at(2, "east"))
	r.mustDo(at(3, "west"))
	r.mustDo(setLicense("professional", 200, 1000))
	assert.Equal(t, "east", r.mustDo(at(2, "west")).Details[catalog.DetailKeptDC])
	row, _ := r.c.Worker("d-2")
	assert.Equal(t, "east", row.Dc, "taken in, where it was")
	for _, stays := range []*messages.Command{at(1, "east"), at(2, "east"), at(3, "west")} {
		assert.Empty(t, r.mustDo(stays).Details)
	}
}

// A cluster whose label was mistyped from the beginning is called right without a worker
// that leaves, and without one that goes elsewhere on the way.
func TestLicense_AMistypedLabelIsCorrectedByStartingAllWorkersWithTheRightOne(t *testing.T) {
	labels := func(r *rig) (out []string) {
		_, rows := r.c.Workers()
		for _, w := range rows {
			if w.State != messages.WorkerState_LEFT {
				out = append(out, w.Dc+"/"+w.DcAsked)
			}
		}
		return out
	}
	start := func(n int, dc string) *messages.Command {
		return register(fmt.Sprintf("w-%d", n), func(w *messages.WorkerRow) { w.RaftId, w.Dc = uint64(n), dc })
	}
	mistyped := func(level string) *rig {
		r := licensed(t, license.Professional)
		for n := 1; n <= 3; n++ {
			r.mustDo(start(n, "esat"))
		}
		r.mustDo(setLicense(level, 200, 1000))
		return r
	}
	for _, level := range []string{"free", "standard", "professional"} {
		r := mistyped(level)
		assert.Equal(t, "esat", r.mustDo(start(1, "east")).Details[catalog.DetailKeptDC])
		assert.Equal(t, "esat", r.mustDo(start(1, "east")).Details[catalog.DetailKeptDC], "its heartbeat says it again")
		r.mustDo(start(3, "east"))
		assert.Equal(t, []string{"esat/east", "esat/", "esat/east"}, labels(r), "%s: nobody is elsewhere on the way", level)
		assert.Empty(t, r.mustDo(start(2, "east")).Details, level)
		assert.Equal(t, []string{"east/", "east/", "east/"}, labels(r), level)
	}
	r := mistyped("professional")
	r.mustDo(start(1, "east"))
	r.mustDo(start(1, "esat"))
	assert.Equal(t, []string{"esat/", "esat/", "esat/"}, labels(r), "it was started as before")
	r.mustDo(start(1, "east"))
	r.mustDo(start(2, "east"))
	r.mustDo(remove("w-3", true))
	assert.Equal(t, []string{"east/", "east/"}, labels(r), "the last one with the old label has left")
	r.refuses(model.CodeLicenseDenied, start(4, "west"))

	r = mistyped("professional")
	r.mustDo(start(2, "west"))
	r.mustDo(setLicense("enterprise", 300, 1000))
	assert.Equal(t, []string{"esat/", "west/", "esat/"}, labels(r), "a licence has it")
}

func TestLicense_ARefusedWorkerHearsAllDatacentersOfTheCluster(t *testing.T) {
	r := licensed(t, license.Enterprise)
	for n, dc := range []string{"west", "east", "north", "east"} {
		r.mustDo(register(fmt.Sprintf("d-%d", n), func(w *messages.WorkerRow) { w.RaftId, w.Dc = uint64(100+n), dc }))
	}
	r.mustDo(remove("d-2", true))
	r.mustDo(remove("d-3", true))
	r.mustDo(setLicense("professional", 200, 1000))
	res := r.refuses(model.CodeLicenseDenied, register("d-9", func(w *messages.WorkerRow) { w.RaftId, w.Dc = 109, "east" }))
	assert.Equal(t, "east and west", res.Details["cluster_dc"])
	assert.Contains(t, res.Message, "the node is in datacenter east and the cluster in east and west, and")
	assert.Contains(t, res.Message, "start it with the right one")
}
