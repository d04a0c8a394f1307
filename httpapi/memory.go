package httpapi

import (
	"sync/atomic"

	"tiercel/cluster/model"
)

// memory bounds what all batches together hold here: what is being decoded, and answers
// that are not taken yet. Contents on their way are under the credit of the gateway.
// Nobody waits for it while holding some: a batch that finds none ends where it is.
type memory struct{ free atomic.Int64 }

// share is what one request holds of it.
type share struct {
	of   *memory
	held int64
}

// take adds bytes to the share; overloaded when there are none.
func (s *share) take(bytes int64) error {
	if s.of.free.Add(-bytes) < 0 {
		s.of.free.Add(bytes)
		return model.Errorf(model.CodeOverloaded, "read batch", "the memory for batches is in use by other requests; try again, or send a smaller one")
	}
	s.held += bytes
	return nil
}

// close gives everything back.
func (s *share) close() {
	s.of.free.Add(s.held)
	s.held = 0
}
