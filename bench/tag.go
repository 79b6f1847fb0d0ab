package bench

import (
	"io"
	"math/rand/v2"
	"strconv"
)

// A tag is a letter and a number that grows by random steps. The steps do not depend on the seed of a run, which
// anybody can guess, so that a server cannot answer a command before it has read it.
const (
	tagPrefix = 'b'
	tagStep   = 10_000
)

// newTags returns the random steps of one session's tags.
func newTags(random io.Reader) (*rand.Rand, error) {
	var seed [32]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, err
	}
	return rand.New(rand.NewChaCha8(seed)), nil
}

// appendTag appends the tag of a number.
func appendTag(to []byte, number uint64) []byte {
	return strconv.AppendUint(append(to, tagPrefix), number, 10)
}

// tagNumber returns the number of a tag that has exactly the form of ours.
func tagNumber(tag []byte) (uint64, bool) {
	if len(tag) < 2 || tag[0] != tagPrefix || tag[1] == '0' {
		return 0, false
	}
	return number(tag[1:])
}
