package replay

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"math"
	"strconv"
)

// sample decides which sessions to keep. The decision depends only on the session's ID and the share, so a single pass
// over the rows is enough.
type sample struct {
	share           uint64 // sessions whose hash is at most this are kept
	sessions, steps int    // limits
}

func newSample(sessions, steps int) sample {
	return sample{share: math.MaxUint64, sessions: sessions, steps: steps}
}

// takes reports whether the session of an ID is kept. IDs are hexadecimal numbers.
func (s *sample) takes(id string) bool {
	const spread = 0x9e3779b97f4a7c15 // IDs that are near to each other are not chosen alike
	n, _ := strconv.ParseUint(id, 16, 64)
	return n*spread <= s.share
}

// full reports whether there are too many sessions or steps.
func (s *sample) full(sessions, steps int) bool {
	return (sessions > s.sessions || steps >= s.steps) && s.share > 0
}

func (s *sample) halve() { s.share /= 2 }

// leftOut estimates how many sessions were not kept.
func (s *sample) leftOut(kept int) int {
	if s.share == math.MaxUint64 {
		return 0
	}
	return int(float64(kept) * (float64(math.MaxUint64)/float64(s.share) - 1))
}

// isCorrupt reports whether compressed data is damaged.
func isCorrupt(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.As(err, &corrupt) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader)
}
