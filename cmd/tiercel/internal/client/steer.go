package client

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
)

// Retiered is what one request to move files to another tier has done.
type Retiered struct {
	Moved      int64 `json:"moved"`
	Unchanged  int64 `json:"unchanged"`
	MovedBytes int64 `json:"moved_bytes"`
	Failed     []struct {
		Path    string `json:"path"`
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"failed"`
	Next string `json:"next"` // where to go on; empty: all is done
}

// Retier moves a file, or a bounded number of those below a prefix, to a tier: where
// names the path, or the prefix and behind which path to go on.
func (c *Client) Retier(ctx context.Context, where map[string]any, tier int) (*Retiered, error) {
	body := maps.Clone(where)
	body["tier"] = tier
	answer, err := c.do(ctx, order{op: fmt.Sprintf("move to tier %d", tier), method: http.MethodPost, path: "/retier", body: body})
	if err != nil {
		return nil, err
	}
	var r Retiered
	return &r, json.Unmarshal(answer, &r)
}

// ReleaseBrake lets mass repair go on although many workers are missing.
func (c *Client) ReleaseBrake(ctx context.Context) error {
	_, err := c.do(ctx, order{op: "release the storm brake", method: http.MethodPost, path: "/cluster/storm-brake/release"})
	return err
}
