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

// ProbePass is a one-time credential of a probe. It tests the sign-in up to the point where a mailbox server would be
// asked: the listener, TLS, directory and verification are as for every client. It is valid for one connection, whose
// source port this process has opened, and for one sign-in.
type ProbePass struct {
	Source   netip.AddrPort // of the connection
	Secret   secret.Value   // to sign in with, made for this connection
	Password secret.Value   // of the user, for the verifier
}

// probePasses are those of the connections to come. Safe for concurrent use.
type probePasses struct {
	mu  sync.Mutex
	all map[netip.AddrPort]ProbePass
}

// Admit makes a pass valid until it is used or revoke is called.
func (s *Server) Admit(p ProbePass) (revoke func()) {
	source := plainAddr(p.Source)
	s.probePasses.mu.Lock()
	defer s.probePasses.mu.Unlock()
	if s.probePasses.all == nil {
		s.probePasses.all = make(map[netip.AddrPort]ProbePass)
	}
	s.probePasses.all[source] = p
	return func() {
		s.probePasses.mu.Lock()
		defer s.probePasses.mu.Unlock()
		delete(s.probePasses.all, source)
	}
}

func plainAddr(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// take returns the pass of a connection, if the client has sent its secret. The pass is then used up.
func (p *probePasses) take(source netip.AddrPort, shown secret.Value) (ProbePass, bool) {
	source = plainAddr(source)
	p.mu.Lock()
	defer p.mu.Unlock()
	pass, ok := p.all[source]
	if !ok || subtle.ConstantTimeCompare([]byte(pass.Secret.Reveal()), []byte(shown.Reveal())) != 1 {
		return ProbePass{}, false
	}
	delete(p.all, source)
	return pass, true
}

// prove does all of a sign-in except for the mailbox server, and answers the client. Then the session serves only NOOP
// and LOGOUT.
func (s *session) prove(ctx context.Context, q directory.Query, c backend.Credential, p ProbePass) error {
	q.Password, c.Password = p.Password, p.Password
	var err error
	if s.attempt.route, err = s.route(ctx, q, &c); err != nil {
		return err
	}
	s.attempt.user = s.attempt.route.User
	if err := s.attempt.route.Refusal(); err != nil {
		return err
	}
	if err := s.attempt.tier.Verify(ctx, &s.attempt.route, q, s.client); err != nil {
		return err
	}
	s.dialogue.probeDone = true
	return s.client.say(s.dialogue.tag + " OK Mailbox server found.")
}

// isHealthUser says whether the user is a health mailbox.
func (s *session) isHealthUser() bool {
	_, ok := s.set.HealthUsers[s.attempt.user]
	return ok
}
