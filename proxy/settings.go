package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"slices"
	"time"

	"portico/backend"
	"portico/backend/directory"
	"portico/proxy/wire"
)

// LoginType says how far a password may travel without TLS.
type LoginType uint8

// The login types. PlainTextAuthentication differs from SecureLogin for mechanisms that show no secret, such as SCRAM:
// it takes those without TLS.
const (
	SecureLogin             LoginType = iota // TLS before any sign-in
	PlainTextAuthentication                  // TLS before any password
	PlainTextLogin                           // a password on any connection
)

// Tier is what stands behind the proxy: the mailbox servers. *backend.Tier is one, if its Upstream is an Upstream of
// this package.
type Tier interface {
	// Canonical returns the one form of a user name. Its error wraps backend.ErrUserName.
	Canonical(name, defaultDomain string) (string, error)
	// Route finds out where the mailbox is. The client hears when that takes long.
	Route(ctx context.Context, q directory.Query, client backend.WaitingClient) (backend.Route, error)
	// RoutesNameless says whether a sign-in can be routed, and passed on, without knowing who signs in.
	RoutesNameless() bool
	// Verify makes sure of who signs in where the proxy has to; it comes between Route and SignIn.
	Verify(ctx context.Context, route *backend.Route, q directory.Query, client backend.WaitingClient) error
	// Mechanisms lists the SASL mechanisms that clients can sign in by. It is not to be changed.
	Mechanisms() []string
	// Done ends what Route began; it is called once the sign-in has failed or the relay has the session.
	Done(route backend.Route)
	SignIn(ctx context.Context, route backend.Route, request backend.SignInRequest) (*backend.Link, error)
}

// Settings is what can change while the server runs. A Settings given to New or Reload must not be changed afterwards:
// a session keeps the one that it began with, except for the tier: each sign-in uses the one that is in force when it
// begins.
type Settings struct {
	Banner    string    // text of the greeting; default "Portico is ready."
	LoginType LoginType // default SecureLogin
	TLS       *tls.Config
	Tier      Tier // required
	Limits    Limits
	Timeouts  Timeouts
	Penalties PenaltyOptions
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
	// connections and no penalty is theirs.
	HealthUsers  map[string]string
	QuietSignIns bool // no line in the log for a sign-in, however it goes
}

// trusts says whether a client may speak for another.
func (s *Settings) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.TrustedNetworks,
		func(n netip.Prefix) bool { return n.Contains(addr.Unmap().WithZone("")) })
}

// Limits bound what clients may have and do. Zero means the default, which for the first five is no limit.
type Limits struct {
	Connections           int // all, signed in or not
	ConnectionsPerAddress int // of one IPv4 address or one IPv6 /64
	Unauthenticated       int // before sign-in; beyond, the one that has been silent longest gives way
	// UnauthenticatedPerAddress bounds those of one IPv4 address or one IPv6 /64 alike. Trusted networks are not bound
	// by it.
	UnauthenticatedPerAddress int
	ConnectionsPerUser        int

	Commands      wire.Limits // bytes before sign-in; default 10 KiB a line, literal and command, 64 KiB a SASL line
	BadCommands   int         // and sign-ins that came to no server's verdict, that end the connection; default 10
	FailedSignIns int         // refused for the credential or by a mailbox server, that end the connection; default 3
}

// Timeouts of the set-up, as far as clients are concerned. Zero means the default.
type Timeouts struct {
	Handshake time.Duration // one TLS handshake; default 10 s
	Idle      time.Duration // client's silence before sign-in; default 1 minute
	SetUp     time.Duration // from connecting to sign-in, whatever the client does; default 5 minutes
	Write     time.Duration // for the client to take an answer; default 10 s
}

// withDefaults returns a checked copy that has no zero left that means a default.
func (s Settings) withDefaults() (*Settings, error) {
	if s.Tier == nil {
		return nil, errors.New("settings: no mailbox servers")
	}
	s.Banner = cmp.Or(s.Banner, "Portico is ready.")
	for _, c := range []byte(s.Banner) {
		if c < ' ' || c >= 0x7f {
			return nil, errors.New("settings: banner is not printable ASCII")
		}
	}
	if s.Banner[0] == '[' {
		return nil, errors.New("settings: banner starts like a response code")
	}
	l := &s.Limits
	l.Commands.Line = cmp.Or(l.Commands.Line, 10<<10)
	l.Commands.Literal = cmp.Or(l.Commands.Literal, 10<<10)
	l.Commands.Command = cmp.Or(l.Commands.Command, 10<<10)
	l.Commands.SASL = cmp.Or(l.Commands.SASL, 64<<10)
	l.BadCommands = cmp.Or(l.BadCommands, 10)
	l.FailedSignIns = cmp.Or(l.FailedSignIns, 3)
	t := &s.Timeouts
	t.Handshake = cmp.Or(t.Handshake, 10*time.Second)
	t.Idle = cmp.Or(t.Idle, time.Minute)
	t.SetUp = cmp.Or(t.SetUp, 5*time.Minute)
	t.Write = cmp.Or(t.Write, 10*time.Second)
	p := &s.Penalties
	p.First = cmp.Or(p.First, 2*time.Second)
	p.Longest = cmp.Or(p.Longest, 15*time.Second)
	p.Forget = cmp.Or(p.Forget, time.Hour)
	g := &s.Guesses
	g.AtOnce = cmp.Or(g.AtOnce, 10)
	g.PerMinute = cmp.Or(g.PerMinute, 30)
	g.AddressAtOnce = cmp.Or(g.AddressAtOnce, 120)
	g.AddressPerMinute = cmp.Or(g.AddressPerMinute, 60)
	return &s, nil
}
