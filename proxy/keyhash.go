package proxy

import (
	"encoding/binary"
	"io"
	"net/netip"

	"github.com/dchest/siphash"
)

// keyHash makes the keys under which clients are remembered. They are hashes: an entry is small then, and one of a
// hundred million that meets another's costs somebody some seconds at most. The hash is keyed, so that nobody can
// choose names that meet, and another process can go on with the same key.
type keyHash [2]uint64

func newKeyHash(random io.Reader) (h keyHash, err error) {
	var key [16]byte
	_, err = io.ReadFull(random, key[:])
	return keyHash{binary.NativeEndian.Uint64(key[:8]), binary.NativeEndian.Uint64(key[8:])}, err
}

// of returns the key of an address or network (the zero value for none) and a user ("" for none).
func (h keyHash) of(addr netip.Prefix, user string) uint64 {
	var room [17 + maxShownName]byte
	ip := addr.Addr().As16()
	text := append(append(room[:0], ip[:]...), byte(addr.Bits()), byte(addr.Addr().BitLen()))
	return siphash.Hash(h[0], h[1], append(text, user...))
}
