package httpapi

import (
	"context"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

var fakeAffected = []*messages.AffectedFile{
	{Tenant: "acme", Path: "/a", Version: 7, SizeBytes: 10, State: messages.ContentState_CONTENT_LOST, Volumes: []uint64{3, 4}},
	{Tenant: "acme", Path: "/b \"q\"", Version: 8, SizeBytes: 11, State: messages.ContentState_CONTENT_STRANDED, Volumes: []uint64{5}},
	{Tenant: "zeta", Path: "/c", Version: 9, State: messages.ContentState_CONTENT_DAMAGED, Volumes: []uint64{6}},
}

// Affected looks at one file more than it was asked to name, so that a page of it may be
// empty and yet not be the last.
func (g *fakeGateway) Affected(_ context.Context, tenant string, state messages.ContentState, after string, limit uint32) (*messages.FindAffectedReply, error) {
	if err := g.note("affected"); err != nil {
		return nil, err
	}
	r := &messages.FindAffectedReply{Unchecked: g.unchecked}
	seen := uint32(0)
	for i, f := range fakeAffected {
		switch at := f.Tenant + f.Path; {
		case at <= after || tenant != "" && tenant != f.Tenant:
			continue
		case state == 0 || state == f.State:
			r.Files = append(r.Files, f)
		}
		if seen++; seen == limit && i+1 < len(fakeAffected) {
			r.Next = f.Tenant + f.Path
			break
		}
	}
	return r, nil
}

const affectedURL = clusterURL + "/replication/files"

func TestAffected_ListsTheFilesByTenantAndPathAPageAtATime(t *testing.T) {
	w := inMemory(t, Config{})
	get := func(query string) (string, string) {
		r := w.do("GET", affectedURL+query, nil)
		require.Equal(t, 200, r.status, "%s", r.body)
		var page struct {
			Next string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal(r.body, &page))
		return string(r.body), page.Next
	}
	all, next := get("")
	assert.Empty(t, next)
	assert.JSONEq(t, `{"files":[
	 {"tenant":"acme","path":"/a","version":7,"size_bytes":10,"state":"lost","volume_ids":[3,4]},
	 {"tenant":"acme","path":"/b \"q\"","version":8,"size_bytes":11,"state":"stranded","volume_ids":[5]},
	 {"tenant":"zeta","path":"/c","version":9,"size_bytes":0,"state":"damaged","volume_ids":[6]}],"next_cursor":""}`, all)
	first, next := get("?state=damaged&limit=2")
	assert.Contains(t, first, `"files":[]`, "a page that names none need not be the last")
	second, end := get("?state=damaged&limit=2&cursor=" + url.QueryEscape(next))
	assert.Contains(t, second, `"path":"/c"`)
	assert.Empty(t, end)
	acme, _ := get("?tenant=acme&state=lost")
	assert.Contains(t, acme, `"path":"/a"`)
	assert.NotContains(t, acme, "zeta")
	e := wantError(t, w.do("GET", affectedURL+"?state=lost&limit=2&cursor="+url.QueryEscape(next), nil), 400, "invalid_argument")
	assert.Contains(t, e.Error.Message, "not one of this listing")
}

func TestAffected_ACursorMayNameTheLongestPath(t *testing.T) {
	place := "f/" + string(make([]byte, 64)) + "\x00" + string(make([]byte, model.MaxPathBytes)) + "\x00\x00" + "00000000"
	got, err := decodeCursor(encodeCursor("acme", "affected", "lost", place), "acme", "affected", "lost")
	require.NoError(t, err)
	assert.Equal(t, place, got)
}

func TestAffected_EveryWayToAskWrongly(t *testing.T) {
	for query, message := range map[string]string{
		"?state=los":    `did you mean "lost"?`,
		"?state=LOST":   "is not known",
		"?tenant=A%20B": "tenant",
		"?limit=0":      "must be a number from 1 to 1000",
		"?limit=1001":   "must be a number from 1 to 1000",
		"?cursor=AAAA":  "not one of this listing",
		"?prefix=/a":    "unknown query parameter",
	} {
		e := wantError(t, inMemory(t, Config{}).do("GET", affectedURL+query, nil), 400, "invalid_argument")
		assert.Contains(t, e.Error.Message, message, query)
	}
}
