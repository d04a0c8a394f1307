package httpapi

import (
	"context"
	"errors"
	"io"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// PutBatch stores item after item, as the real one does in the end. onItem, when set,
// may refuse one; it is not told of those that are bad already.
func (g *fakeGateway) PutBatch(_ context.Context, req *model.BatchRequest, answer func(int, string, *messages.PutReply, error)) error {
	for i := 0; ; i++ {
		it, err := req.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if it.Err == nil && g.onItem != nil {
			it.Err = g.onItem(it)
		}
		if it.Err != nil {
			answer(i, it.Path, nil, it.Err)
			continue
		}
		content, err := io.ReadAll(io.LimitReader(it.Body, it.Size)) // what is declared may be much more than what comes
		if n := len(content); err != nil || int64(n) < it.Size {
			var coded *model.Error
			if errors.As(err, &coded) {
				return err
			}
			return model.Errorf(model.CodeInvalidArgument, "read body", "the body ended after %d of %d bytes of the item", n, it.Size)
		}
		reply, err := g.store(&model.PutRequest{Tenant: req.Tenant, Path: it.Path, Tier: it.Tier}, content)
		answer(i, it.Path, reply, err)
	}
}
