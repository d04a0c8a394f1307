package edge

import (
	"context"

	"tiercel/messages"
)

// Workers returns what the master knows of its workers: of all, or of one with its
// volumes; not_found when there is none of that id.
func (c *Client) Workers(ctx context.Context, node string) (*messages.ListWorkersReply, error) {
	r, err := ask[*messages.ListWorkersReply](ctx, c, &messages.ListWorkers{Header: &messages.Header{}, Node: node})
	if err == nil {
		err = r.Error.Err("list workers")
	}
	return r, err
}

// Master returns the master and how it ranks the candidates to follow it.
func (c *Client) Master(ctx context.Context) (*messages.DescribeMasterReply, error) {
	r, err := ask[*messages.DescribeMasterReply](ctx, c, &messages.DescribeMaster{Header: &messages.Header{}})
	if err == nil {
		err = r.Error.Err("describe master")
	}
	return r, err
}

// Promote hands the lead to a worker; conflict with the reason when it cannot take it.
func (c *Client) Promote(ctx context.Context, node string) (*messages.PromoteWorkerReply, error) {
	r, err := ask[*messages.PromoteWorkerReply](ctx, c, &messages.PromoteWorker{Header: &messages.Header{}, Node: node})
	if err == nil {
		err = r.Error.Err("promote")
	}
	return r, err
}

// RemoveNode takes a worker out of the cluster for good; conflict while it holds
// the only copy of something, unless forced.
func (c *Client) RemoveNode(ctx context.Context, node string, forced bool) error {
	r, err := ask[*messages.RemoveNodeReply](ctx, c, &messages.RemoveNode{Header: &messages.Header{}, Node: node, Forced: forced})
	if err == nil {
		err = r.Error.Err("remove worker")
	}
	return err
}

// ReleaseBrake ends the storm brake by an operator's word.
func (c *Client) ReleaseBrake(ctx context.Context) error {
	r, err := ask[*messages.ReleaseBrakeReply](ctx, c, &messages.ReleaseBrake{Header: &messages.Header{}})
	if err == nil {
		err = r.Error.Err("release the storm brake")
	}
	return err
}
