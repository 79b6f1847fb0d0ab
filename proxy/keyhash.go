package proxy

import (
	"encoding/binary"
	"io"
	"net/netip"

	"github.com/dchest/siphash"
)

// keyHash makes the keys under which clients are remembered. They are hashes: an entry is small then, and one of a
// hundred million that meets another's costs somebody some seconds at most. The hash is keyed, so that nobody can
// choose names that meet, and another process can go on with the same key. SipHash is a MAC: without its key, nobody
// learns a name from a hash.
type keyHash [2]uint64

func newKeyHash(random io.Reader) (keyHash, error) {
	var seed [seedSize]byte
	_, err := io.ReadFull(random, seed[:])
	return keyHashOf(seed[:]), err
}

// seedSize is the length of a seed in bytes.
const seedSize = 16

// keyHashOf returns the keyHash of a seed. It is the same on every machine.
func keyHashOf(seed []byte) keyHash {
	return keyHash{binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])}
}

// of returns the key of an address or network (the zero value for none) and a user ("" for none).
func (h keyHash) of(addr netip.Prefix, user string) uint64 {
	var room [17 + maxShownName]byte
	ip := addr.Addr().As16()
	text := append(append(room[:0], ip[:]...), byte(addr.Bits()), byte(addr.Addr().BitLen()))
	return siphash.Hash(h[0], h[1], append(text, user...))
}
