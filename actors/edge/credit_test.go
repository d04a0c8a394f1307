package edge

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func TestBuffer_WithoutAMasterWhoeverFindsTheQueueFullIsToldAtOnce(t *testing.T) {
	ready := false
	c := &Client{credit: newCredit(0), cfg: Config{Ready: func() (bool, string) { return ready, "a master is being elected" }}}
	var held []*buffer
	for range 4 {
		b, err := c.buffer(t.Context(), len(classes)-1)
		require.NoError(t, err, "queued as far as the memory goes")
		held = append(held, b)
	}
	_, err := c.buffer(t.Context(), 0)
	assert.Equal(t, model.CodeNoMaster, model.CodeOf(err))
	assert.ErrorContains(t, err, "a master is being elected")

	ready = true // then it is only a matter of time
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = c.buffer(ctx, 0)
	assert.Equal(t, model.CodeOverloaded, model.CodeOf(err))
	c.credit.release(held[0])
	_, err = c.buffer(t.Context(), 0)
	assert.NoError(t, err)
}
