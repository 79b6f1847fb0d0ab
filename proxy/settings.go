package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"portico/backend"
	"portico/backend/directory"
	"portico/proxy/wire"
)

// LoginType says which sign-ins are allowed without TLS.
type LoginType uint8

// The login types. PlainTextAuthentication differs from SecureLogin for mechanisms that show no secret, such as SCRAM:
// it takes those without TLS.
const (
	SecureLogin             LoginType = iota // TLS before any sign-in
	PlainTextAuthentication                  // TLS before any password
	PlainTextLogin                           // a password on any connection
)

// Tier is the mailbox servers behind the proxy. *backend.Tier implements it, if its Upstream is an Upstream of this
// package.
type Tier interface {
	// Canonical returns the one form of a user name. Its error wraps backend.ErrUserName.
	Canonical(name, defaultDomain string) (string, error)
	// Route finds the mailbox server. If that takes long, the client gets lines meanwhile.
	Route(ctx context.Context, q directory.Query, client backend.WaitingClient) (backend.Route, error)
	// RoutesNameless says whether a sign-in can be routed, and passed on, without knowing who signs in.
	RoutesNameless() bool
	// Verify checks the credential if Portico has to do that itself. Call it between Route and SignIn.
	Verify(ctx context.Context, route *backend.Route, q directory.Query, client backend.WaitingClient) error
	// Mechanisms lists the SASL mechanisms that clients can sign in by. The caller must not change the list.
	Mechanisms() []string
	// Done ends what Route began. Call it when the sign-in has failed, or when the relay has the session.
	Done(route backend.Route)
	SignIn(ctx context.Context, route backend.Route, request backend.SignInRequest) (*backend.Link, error)
}

// Settings is what can change while the server runs. A Settings given to New or Reload must be complete, and must not
// be changed afterwards: a session keeps the one that it began with, except for the tier: each sign-in uses the one
// that is in force when it begins.
type Settings struct {
	Banner    string // text of the greeting: printable ASCII
	LoginType LoginType
	TLS       *tls.Config // nil where no listener has TLS
	Tier      Tier
	Limits    Limits
	Timeouts  Timeouts
	AuthDelay AuthDelayOptions
	Guesses   GuessOptions
	// DefaultDomain is appended to user names that have none; "" for nothing.
	DefaultDomain string
	// OAuthUserClaim names the claim of a token that tells whose it is, where a client does not say so; "" for none.
	// See backend.TokenClaim.
	OAuthUserClaim string
	// TrustedNetworks are where proxies are that may say who the real client is: by the PROXY protocol, where the
	// listener has it, and by ID.
	TrustedNetworks []netip.Prefix
	// HealthUsers are the canonical names of users that probes sign in as, and their databases: no limit of a user's
	// connections and no authentication delay.
	HealthUsers  map[string]string
	QuietSignIns bool // no line in the log for a sign-in, however it goes
}

// Trusts says whether a client may speak for another.
func (s *Settings) Trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.TrustedNetworks,
		func(n netip.Prefix) bool { return n.Contains(addr.Unmap().WithZone("")) })
}

// Limits bound what clients may have and do. 0 is no limit for the first five.
type Limits struct {
	Connections           int // all, signed in or not
	ConnectionsPerAddress int // of one IPv4 address or one IPv6 /64
	Unauthenticated       int // before sign-in; beyond, the one that has been silent longest gives way
	// UnauthenticatedPerAddress bounds those of one IPv4 address or one IPv6 /64 alike. Trusted networks are not bound
	// by it.
	UnauthenticatedPerAddress int
	ConnectionsPerUser        int

	Commands      wire.Limits // bytes before sign-in
	BadCommands   int         // and sign-ins that came to no server's verdict, that end the connection
	FailedSignIns int         // refused for the credential or by a mailbox server, that end the connection
}

// Timeouts of the set-up, as far as clients are concerned.
type Timeouts struct {
	Handshake time.Duration // one TLS handshake
	Idle      time.Duration // client's silence before sign-in
	SetUp     time.Duration // from connecting to sign-in, whatever the client does
	Write     time.Duration // for the client to take an answer
}

// check returns an error that names a field without a usable value, or nil.
func (s *Settings) check() error {
	if s.Tier == nil {
		return errors.New("settings: Tier is missing")
	}
	if err := s.checkBanner(); err != nil {
		return fmt.Errorf("settings: Banner %w", err)
	}
	l, t, p, g := s.Limits, s.Timeouts, s.AuthDelay, s.Guesses
	for _, field := range []struct {
		name         string
		value, least int64
	}{
		{"Limits.Connections", int64(l.Connections), 0},
		{"Limits.ConnectionsPerAddress", int64(l.ConnectionsPerAddress), 0},
		{"Limits.Unauthenticated", int64(l.Unauthenticated), 0},
		{"Limits.UnauthenticatedPerAddress", int64(l.UnauthenticatedPerAddress), 0},
		{"Limits.ConnectionsPerUser", int64(l.ConnectionsPerUser), 0},
		{"Limits.Commands.Line", int64(l.Commands.Line), 1},
		{"Limits.Commands.Literal", int64(l.Commands.Literal), 1},
		{"Limits.Commands.Command", int64(l.Commands.Command), 1},
		{"Limits.Commands.SASL", int64(l.Commands.SASL), 1},
		{"Limits.BadCommands", int64(l.BadCommands), 1},
		{"Limits.FailedSignIns", int64(l.FailedSignIns), 1},
		{"Timeouts.Handshake", int64(t.Handshake), 1},
		{"Timeouts.Idle", int64(t.Idle), 1},
		{"Timeouts.SetUp", int64(t.SetUp), 1},
		{"Timeouts.Write", int64(t.Write), 1},
		{"AuthDelay.First", int64(p.First), 0},
		{"AuthDelay.Longest", int64(p.Longest), int64(p.First)},
		{"AuthDelay.Forget", int64(p.Forget), 1},
		{"Guesses.AtOnce", int64(g.AtOnce), 0},
		{"Guesses.PerMinute", int64(g.PerMinute), min(int64(g.AtOnce), 1)},
		{"Guesses.AddressAtOnce", int64(g.AddressAtOnce), 0},
		{"Guesses.AddressPerMinute", int64(g.AddressPerMinute), min(int64(g.AddressAtOnce), 1)},
	} {
		if field.value < field.least {
			return fmt.Errorf("settings: %s must be at least %d, is %d", field.name, field.least, field.value)
		}
	}
	return nil
}

// checkBanner returns what is wrong with the banner, as the end of a sentence.
func (s *Settings) checkBanner() error {
	if s.Banner == "" {
		return errors.New("is missing")
	}
	for _, c := range []byte(s.Banner) {
		if c < ' ' || c >= 0x7f {
			return errors.New("is not printable ASCII")
		}
	}
	if s.Banner[0] == '[' {
		return errors.New("starts like a response code")
	}
	return nil
}
