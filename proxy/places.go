package proxy

import (
	"maps"
	"net/netip"
)

// Places are the places that connections take of the limits, or a change of them. It is made for JSON.
type Places struct {
	Connections int                  `json:"connections,omitempty"` // in all
	Addresses   map[netip.Prefix]int `json:"addresses,omitempty"`   // by client address, for IPv6 the /64 network
	Users       map[string]int       `json:"users,omitempty"`       // by user who is signed in
}

// Places returns what this server's connections take. Places that were reserved do not count. The caller owns it.
func (s *Server) Places() Places { return s.admission.places() }

// Reserve takes places for connections that another process carries, or frees them where a number is negative. They
// count like signed-in connections of this server.
func (s *Server) Reserve(change Places) {
	s.admission.reserve(change, s.settings.Load().Limits.ConnectionsPerUser)
}

func (a *admission) places() Places {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := Places{Connections: a.total, Addresses: maps.Clone(a.addresses), Users: maps.Clone(a.users)}
	return p.Minus(a.reserved)
}

func (a *admission) reserve(change Places, userLimit int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total += change.Connections
	for address, n := range change.Addresses {
		add(a.addresses, address, n)
	}
	for user, n := range change.Users {
		if _, known := a.users[user]; !known {
			user = a.keep(user)
		}
		add(a.users, user, n)
		a.site.note(user, a.users[user], userLimit)
	}
	a.reserved = a.reserved.Plus(change)
}

// Minus returns the change that leads from before to p.
func (p Places) Minus(before Places) Places { return p.plus(before, -1) }

// Plus returns p after a change.
func (p Places) Plus(change Places) Places { return p.plus(change, 1) }

// Some says whether a change changes anything.
func (p Places) Some() bool { return p.Connections != 0 || len(p.Addresses) > 0 || len(p.Users) > 0 }

// plus returns p and sign times q. Both stay as they are.
func (p Places) plus(q Places, sign int) Places {
	sum := Places{Connections: p.Connections + sign*q.Connections, Addresses: maps.Clone(p.Addresses),
		Users: maps.Clone(p.Users)}
	if sum.Addresses == nil {
		sum.Addresses = make(map[netip.Prefix]int)
	}
	if sum.Users == nil {
		sum.Users = make(map[string]int)
	}
	for address, n := range q.Addresses {
		sum.Addresses[address] += sign * n
		if sum.Addresses[address] == 0 {
			delete(sum.Addresses, address)
		}
	}
	for user, n := range q.Users {
		sum.Users[user] += sign * n
		if sum.Users[user] == 0 {
			delete(sum.Users, user)
		}
	}
	return sum
}

// add adds n, which may be negative, to the number of a key.
func add[K comparable](counts map[K]int, key K, n int) {
	if counts[key] += n; counts[key] <= 0 {
		delete(counts, key)
	}
}
