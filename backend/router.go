package backend

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Routing says how users find their database where no directory names it.
type Routing uint8

// The two ways.
const (
	RoutingSingle Routing = iota // everybody is in the one database
	RoutingHash                  // users are spread over all databases by rendezvous hashing
)

// Router maps users to databases by rendezvous hashing: each database draws a number for the user, the highest wins.
// So the spread is even, the order of databases means nothing, and when one is added or removed only those users move
// who must. It is read-only and safe for concurrent use.
//
// Which user is in which database is on the mailbox servers' disks: the numbers drawn must stay as they are in every
// release.
type Router struct {
	databases []candidate
}

type candidate struct {
	name string
	seed uint64
}

// NewRouter returns a router over databases, of which there must be at least one. With exactly one, everybody is
// there.
func NewRouter(databases []string) *Router {
	r := &Router{databases: make([]candidate, len(databases))}
	for i, name := range databases {
		r.databases[i] = candidate{name: name, seed: digest(name)}
	}
	// Two databases that draw the same number must not depend on the order in the configuration.
	slices.SortFunc(r.databases, func(a, b candidate) int { return cmp.Compare(a.name, b.name) })
	return r
}

// Database returns the database of a user, given by the canonical name.
func (r *Router) Database(user string) string {
	best := r.databases[0]
	if len(r.databases) == 1 {
		return best.name
	}
	seed := digest(user)
	highest := mix(seed ^ best.seed)
	for _, c := range r.databases[1:] {
		if n := mix(seed ^ c.seed); n > highest {
			best, highest = c, n
		}
	}
	return best.name
}

// digest is the start of a SHA-256: nobody can choose user names that all land in one database without trying.
func digest(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint64(sum[:8])
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
