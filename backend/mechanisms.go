package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"portico/backend/directory"
	"portico/configs/store"
	"portico/proxy/wire"
)

// mechanisms are the SASL mechanisms that a client can sign in by, in the order in which they are offered.
var mechanisms = [...]string{
	mechanismPlain, mechanismLogin, mechanismXOAUTH2, mechanismOAuthBearer, mechanismSCRAM1, mechanismSCRAM256,
}

// mechanismSet is a bit set, by index in mechanisms.
type mechanismSet uint8

func (o mechanismSet) has(i int) bool { return o&(1<<i) != 0 }

// allOffered and passwordsOffered are sets: all mechanisms, and those that carry a password.
const (
	passwordsOffered mechanismSet = 1<<0 | 1<<1
	allOffered       mechanismSet = 1<<len(mechanisms) - 1
)

// mechanismsFor returns the mechanisms that Portico can offer in front of a server with these capabilities. If the
// server takes a password in one way, clients may send it in any, since Portico translates; LOGIN is included.
func mechanismsFor(offers wire.Capabilities) mechanismSet {
	var o mechanismSet
	for i, name := range mechanisms {
		if _, ok := (Credential{Mechanism: name}).choose(offers); ok {
			o |= 1 << i
		}
	}
	return o
}

// verifiedMechanisms returns the mechanisms for which Portico itself can verify who signs in.
func verifiedMechanisms(verifier directory.Verifier, certificates bool) []string {
	var names []string
	if verifier != nil {
		names = passwordsOffered.names()
	}
	if certificates {
		names = append(names, mechanismExternal)
	}
	return names
}

// String lists the mechanisms.
func (o mechanismSet) String() string { return strings.Join(o.names(), " ") }

func (o mechanismSet) names() []string {
	var names []string
	for i, name := range mechanisms {
		if o.has(i) {
			names = append(names, name)
		}
	}
	return names
}

// OfferedMechanisms remembers what each mailbox server offered when it was last reached, and keeps it in the store, so
// that clients see the same list while a server is down or after Portico restarts. It lives as long as the program.
// Its methods are safe for concurrent use.
type OfferedMechanisms struct {
	store store.Store

	mu      sync.Mutex // guards found and changes
	found   map[string]mechanismSet
	changes int // of found

	saved map[string]mechanismSet // as the store has it; save's alone
}

// mechanismsKey and a mailbox server's name is the key of the server's mechanisms. They are not followed: this node
// alone writes them, and asks each server itself.
const mechanismsKey = "offer/"

// NewOfferedMechanisms reads what the store has.
func NewOfferedMechanisms(ctx context.Context, s store.Store) (*OfferedMechanisms, error) {
	entries, err := s.List(ctx, mechanismsKey)
	if err != nil {
		return nil, fmt.Errorf("read the stored capabilities of mailbox servers: %w", err)
	}
	v := &OfferedMechanisms{store: s, found: make(map[string]mechanismSet)}
	for _, e := range entries {
		names := strings.Fields(string(e.Value))
		var o mechanismSet
		for i, name := range mechanisms {
			if slices.Contains(names, name) {
				o |= 1 << i
			}
		}
		if o == 0 && len(names) > 0 { // it cannot be read: the server is as one that was never reached
			continue
		}
		v.found[e.Key[len(mechanismsKey):]] = o
	}
	v.saved = maps.Clone(v.found)
	return v, nil
}

// learn records what a server offers.
func (v *OfferedMechanisms) learn(server string, offers wire.Capabilities) {
	o := mechanismsFor(offers)
	v.mu.Lock()
	defer v.mu.Unlock()
	if before, known := v.found[server]; !known || before != o {
		v.found[server] = o
		v.changes++
	}
}

// save brings the store up to date. Only one call at a time.
func (v *OfferedMechanisms) save(ctx context.Context) error {
	v.mu.Lock()
	found := maps.Clone(v.found)
	v.mu.Unlock() // sign-ins do not wait for the disk
	var failures []error
	for server, o := range found {
		if before, known := v.saved[server]; known && before == o {
			continue
		}
		entry, err := v.store.Get(ctx, mechanismsKey+server)
		if err == nil || errors.Is(err, store.ErrNotFound) {
			_, err = v.store.CompareAndSet(ctx, mechanismsKey+server, entry.Revision, []byte(o.String()))
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("store the capabilities of %s: %w", server, err))
			continue
		}
		v.saved[server] = o
	}
	return errors.Join(failures...)
}

// commonMechanisms is what all known servers offer, after a number of changes.
type commonMechanisms struct {
	changes int
	names   []string
}

// common returns what all servers offer that were ever reached. If none was reached, it returns the mechanisms that
// carry a password. before is what it returned last, or nil; it is returned again if nothing has changed.
func (v *OfferedMechanisms) common(servers map[string]*mailboxServer, before *commonMechanisms) *commonMechanisms {
	v.mu.Lock()
	defer v.mu.Unlock()
	if before != nil && before.changes == v.changes {
		return before
	}
	o, reached := allOffered, false
	for name := range servers {
		if found, known := v.found[name]; known {
			o, reached = o&found, true
		}
	}
	if !reached {
		o = passwordsOffered
	}
	return &commonMechanisms{changes: v.changes, names: o.names()}
}

// AskMechanisms asks every mailbox server what it offers, all at the same time, and stores it. If a server does not
// answer before ctx ends, what it offered before stays; that is no error. Only one call at a time.
func (t *Tier) AskMechanisms(ctx context.Context) error {
	sideBySide(t.Servers(), func(name string) error { return t.Check(ctx, name) })
	return t.authentication.offered.save(ctx)
}

// mechanismExternal is for clients that sign in by a certificate (RFC 4422 appendix A).
const mechanismExternal = "EXTERNAL"
