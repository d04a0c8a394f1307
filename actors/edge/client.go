package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Asker sends a request to an actor and waits for the reply that names it.
type Asker interface {
	Ask(ctx context.Context, to *actor.PID, msg live.AskMessage) (proto.Message, error)
}

// Config is what a Client needs.
type Config struct {
	Asker       Asker
	Gateway     *actor.PID
	Volumes     *store.Volumes
	Node        string                        // this one's id
	Worker      func(model.NodeID) *actor.PID // the worker of a node
	BodyCredit  int64                         // bytes of bodies held at once
	StepTimeout time.Duration                 // of one step: a part, a commit, a lookup
	Ready       func() (ok bool, reason string)
}

// Client is safe for concurrent use.
type Client struct {
	cfg      Config
	credit   *credit
	holders  holders
	licensed licensed
	local    localReads
}

// New makes a client.
func New(cfg Config) *Client { return &Client{cfg: cfg, credit: newCredit(cfg.BodyCredit)} }

// Ready reports whether the node can serve, and why not.
func (c *Client) Ready() (bool, string) { return c.cfg.Ready() }

const stepMargin = time.Second

// ask sends one request within a step's time and returns its reply as R.
func ask[R proto.Message](ctx context.Context, c *Client, msg live.AskMessage) (R, error) {
	var none R
	budget := c.cfg.StepTimeout
	// The gateway answers within the budget; the margin is for its last sweep. A
	// deadline of the caller's that is near enough needs no timer of our own.
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 2*budget+stepMargin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, budget+stepMargin)
		defer cancel()
	}
	msg.GetHeader().BudgetMs = budget.Milliseconds()
	reply, err := c.cfg.Asker.Ask(ctx, c.cfg.Gateway, msg)
	for err != nil && unheard(err) && ctx.Err() == nil {
		// The node is still coming in, or its gateway is being restarted.
		select {
		case <-time.After(unheardPause):
		case <-ctx.Done():
			return none, err
		}
		reply, err = c.cfg.Asker.Ask(ctx, c.cfg.Gateway, msg)
	}
	if err != nil {
		return none, err
	}
	r, ok := reply.(R)
	if !ok {
		return none, model.Errorf(model.CodeInternal, "ask", "%s", fmt.Sprintf("the gateway answered %T to %T", reply, msg))
	}
	return r, nil
}

const unheardPause = 25 * time.Millisecond

// unheard reports whether a question reached nobody.
func unheard(err error) bool {
	var e *model.Error
	return errors.As(err, &e) && e.Details["reason"] == live.NoActor
}

// Stat returns the file's row; not_found when there is none. withVolumes adds the
// rows of the volumes that hold it.
func (c *Client) Stat(ctx context.Context, tenant, path string, withVolumes bool) (*messages.StatReply, error) {
	r, err := ask[*messages.StatReply](ctx, c, &messages.Stat{Header: &messages.Header{}, Tenant: tenant, Path: path, WithVolumes: withVolumes})
	if err != nil {
		return nil, err
	}
	c.holders.learn(r.Volumes)
	return r, r.Error.Err("stat")
}

// Delete removes a file; not_found when there is none.
func (c *Client) Delete(ctx context.Context, tenant, path string, cond *messages.Conditions) (*messages.CommandResult, error) {
	return c.mutate(ctx, "delete", &messages.Delete{Header: &messages.Header{}, Tenant: tenant, Path: path, Conditions: cond})
}

// Move renames a file; its tier and content stay.
func (c *Client) Move(ctx context.Context, tenant, from, to string, overwrite bool) (*messages.CommandResult, error) {
	return c.mutate(ctx, "move", &messages.Move{Header: &messages.Header{}, Tenant: tenant, From: from, To: to, Overwrite: overwrite})
}

func (c *Client) mutate(ctx context.Context, op string, msg live.AskMessage) (*messages.CommandResult, error) {
	r, err := ask[*messages.MutationReply](ctx, c, msg)
	if err != nil {
		return nil, err
	}
	return r.Result, r.Error.Err(op)
}

// List returns one page; req.Header may be nil.
func (c *Client) List(ctx context.Context, req *messages.List) (*messages.ListReply, error) {
	req.Header = &messages.Header{}
	r, err := ask[*messages.ListReply](ctx, c, req)
	if err != nil {
		return nil, err
	}
	return r, r.Error.Err("list")
}

// Status returns what is known of the cluster.
func (c *Client) Status(ctx context.Context) (*messages.ClusterStatusReply, error) {
	r, err := ask[*messages.ClusterStatusReply](ctx, c, &messages.ClusterStatus{Header: &messages.Header{}})
	if err != nil {
		return nil, err
	}
	return withLicense(r), r.Error.Err("status")
}
