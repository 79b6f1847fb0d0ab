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

// mechanisms are what a client can sign in by, in the order in which they are offered.
var mechanisms = [...]string{
	mechanismPlain, mechanismLogin, mechanismXOAUTH2, mechanismOAuthBearer, mechanismSCRAM1, mechanismSCRAM256,
}

// offer is a set of mechanisms, by their place in the list.
type offer uint8

func (o offer) has(i int) bool { return o&(1<<i) != 0 }

// allOffered and passwordsOffered are sets: all mechanisms, and those that carry a password.
const (
	passwordsOffered offer = 1<<0 | 1<<1
	allOffered       offer = 1<<len(mechanisms) - 1
)

// offerOf returns what a client may be promised in front of a server of such capabilities. Whatever carries a password
// there carries it for a client that has another way, the command LOGIN included.
func offerOf(offers wire.Capabilities) offer {
	var o offer
	for i, name := range mechanisms {
		if _, ok := (Credential{Mechanism: name}).choose(offers); ok {
			o |= 1 << i
		}
	}
	return o
}

// judgedBy returns the mechanisms by which the proxy itself can find out who signs in.
func judgedBy(verifier directory.Verifier, certificates bool) []string {
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
func (o offer) String() string { return strings.Join(o.names(), " ") }

func (o offer) names() []string {
	var names []string
	for i, name := range mechanisms {
		if o.has(i) {
			names = append(names, name)
		}
	}
	return names
}

// Survey remembers what each mailbox server offered when it was last reached, and keeps it in the store, so that
// clients see the same list while a server is down or Portico restarts. One survey lives as long as the program.
// Its methods are safe for concurrent use.
type Survey struct {
	store store.Store

	mu      sync.Mutex // guards found and changes
	found   map[string]offer
	changes int // of found

	saved map[string]offer // as the store has it; save's alone
}

// offerKey and a mailbox server is the key of what it offers.
const offerKey = "offer/"

// NewSurvey returns a survey with what the store says.
func NewSurvey(ctx context.Context, s store.Store) (*Survey, error) {
	entries, err := s.List(ctx, offerKey)
	if err != nil {
		return nil, fmt.Errorf("read the stored capabilities of mailbox servers: %w", err)
	}
	v := &Survey{store: s, found: make(map[string]offer)}
	for _, e := range entries {
		names := strings.Fields(string(e.Value))
		var o offer
		for i, name := range mechanisms {
			if slices.Contains(names, name) {
				o |= 1 << i
			}
		}
		v.found[e.Key[len(offerKey):]] = o
	}
	v.saved = maps.Clone(v.found)
	return v, nil
}

// learn takes what a server says that it offers.
func (v *Survey) learn(server string, offers wire.Capabilities) {
	o := offerOf(offers)
	v.mu.Lock()
	defer v.mu.Unlock()
	if before, known := v.found[server]; !known || before != o {
		v.found[server] = o
		v.changes++
	}
}

// save brings the store up to date. One call at a time.
func (v *Survey) save(ctx context.Context) error {
	v.mu.Lock()
	found := maps.Clone(v.found)
	v.mu.Unlock() // sign-ins do not wait for the disk
	var failures []error
	for server, o := range found {
		if before, known := v.saved[server]; known && before == o {
			continue
		}
		entry, err := v.store.Get(ctx, offerKey+server)
		if err == nil || errors.Is(err, store.ErrNotFound) {
			_, err = v.store.CompareAndSet(ctx, offerKey+server, entry.Revision, []byte(o.String()))
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("store the capabilities of %s: %w", server, err))
			continue
		}
		v.saved[server] = o
	}
	return errors.Join(failures...)
}

// offered is what all servers offer of which anything is known, as of that many changes.
type offered struct {
	changes int
	names   []string
}

// common returns what all of the servers offer that were ever reached; of none, what carries a password. before is
// what it returned last, or nil: if nothing has changed since, it is returned again.
func (v *Survey) common(servers map[string]*mailboxServer, before *offered) *offered {
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
	return &offered{changes: v.changes, names: o.names()}
}

// Survey asks every mailbox server what it offers, all at the same time, and keeps it. A server that does not answer
// until ctx ends counts as it did before; that is no error. One call at a time.
func (t *Tier) Survey(ctx context.Context) error {
	sideBySide(t.Servers(), func(name string) error { return t.Check(ctx, name) })
	return t.survey.save(ctx)
}

// mechanismExternal is for clients that show who they are by a certificate (RFC 4422 appendix A).
const mechanismExternal = "EXTERNAL"

// Mechanisms returns the SASL mechanisms that a client can sign in by, whichever user it is; the command LOGIN goes
// with PLAIN. The caller must not change the list.
func (t *Tier) Mechanisms() []string {
	if t.mode == directory.ModeMaster {
		return t.judged
	}
	now := t.survey.common(t.servers, t.offered.Load())
	t.offered.Store(now)
	return now.names
}
