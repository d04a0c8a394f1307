package pace

// Sizes of one piece of a copy, in bytes.
const (
	MinPieceBytes = 64 << 10
	MaxPieceBytes = 4 << 20
)

// Piece is how many bytes are moved at once: a quarter of a second's worth, within
// bounds, so that a small limit gives a smooth flow. Limits of 0 do not count; with
// several the smallest does.
func Piece(rates ...uint64) uint64 {
	piece := uint64(MaxPieceBytes)
	for _, rate := range rates {
		if rate != 0 {
			piece = min(piece, max(MinPieceBytes, rate/4))
		}
	}
	return piece
}

// minShare of a rate is left to background work, however busy the disk is, so that
// every repair ends.
const minShare = 0.1

// Share is what background work gets of a rate while users keep the disk busy for a
// share load of the time, 0..1. No limit stays none.
func Share(rate uint64, load float64) uint64 {
	if rate == 0 {
		return 0
	}
	return max(1, uint64(float64(rate)*min(1, max(minShare, 1-load))))
}

// BusyLoad is the load above which background work without a limit pauses between
// two pieces.
const BusyLoad = 0.8
