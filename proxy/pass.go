package proxy

import (
	"context"
	"crypto/subtle"
	"net/netip"
	"sync"

	"portico/backend"
	"portico/backend/directory"
	"portico/backend/secret"
)

// Pass lets one connection of a probe through the sign-in up to where a mailbox server would be asked: the listener,
// TLS, directory and verification are as for everybody. It is good for the one connection whose source port the
// process itself has opened, and for one sign-in.
type Pass struct {
	Source   netip.AddrPort // of the connection
	Secret   secret.Value   // to sign in with, made for this once
	Password secret.Value   // of the user, for who verifies it
}

// passes are those that are waited for. Safe for concurrent use.
type passes struct {
	mu  sync.Mutex
	all map[netip.AddrPort]Pass
}

// Admit expects a probe's connection. The function that it returns ends that.
func (s *Server) Admit(p Pass) (revoke func()) {
	source := plainAddr(p.Source)
	s.passes.mu.Lock()
	defer s.passes.mu.Unlock()
	if s.passes.all == nil {
		s.passes.all = make(map[netip.AddrPort]Pass)
	}
	s.passes.all[source] = p
	return func() {
		s.passes.mu.Lock()
		defer s.passes.mu.Unlock()
		delete(s.passes.all, source)
	}
}

func plainAddr(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// take returns the pass of a connection that shows its secret, which is then used up.
func (p *passes) take(source netip.AddrPort, shown secret.Value) (Pass, bool) {
	source = plainAddr(source)
	p.mu.Lock()
	defer p.mu.Unlock()
	pass, ok := p.all[source]
	if !ok || subtle.ConstantTimeCompare([]byte(pass.Secret.Reveal()), []byte(shown.Reveal())) != 1 {
		return Pass{}, false
	}
	delete(p.all, source)
	return pass, true
}

// prove does all of a sign-in but for the mailbox server, and answers the client. Then the session serves NOOP and
// LOGOUT alone.
func (s *session) prove(ctx context.Context, q directory.Query, c backend.Credential, p Pass) error {
	q.Password, c.Password = p.Password, p.Password
	var err error
	if s.attempt.way, err = s.route(ctx, q, &c); err != nil {
		return err
	}
	s.attempt.user = s.attempt.way.User
	if err := s.attempt.way.Refusal(); err != nil {
		return err
	}
	if err := s.attempt.tier.Verify(ctx, &s.attempt.way, q, s.client); err != nil {
		return err
	}
	s.dialogue.proved = true
	return s.client.say(s.dialogue.tag + " OK Mailbox server found.")
}

// ofHealth says whether the user is one that probes sign in as.
func (s *session) ofHealth() bool {
	_, ok := s.set.HealthUsers[s.attempt.user]
	return ok
}
