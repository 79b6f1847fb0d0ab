// Package backend finds and signs in to mailbox servers: it decides which database a user is in (locator, by a
// directory, moved users or the hash of Router), which server has the active copy (ActiveManager), and returns a
// signed-in connection to that server (Tier.SignIn).
//
// A sign-in is sequential code, one file per step: dial.go, tls.go, greeting.go, signin.go. It returns errors with a
// kind (Error), and reports the time of each phase through a callback. The caller answers the client, counts and logs.
// The package does not know clients' connections, the relay, the configuration file, logs or metrics.
package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"portico/backend/directory"
	"portico/configs/store"
)

// TLSMode says how TLS starts on connections to a mailbox server.
type TLSMode uint8

// The modes (RFC 8314).
const (
	TLSNone TLSMode = iota
	TLSStartTLS
	TLSImplicit
)

// ServerOptions describe one mailbox server.
type ServerOptions struct {
	Name      string   // metric label
	Addresses []string // host:port, tried in turn
	TLS       TLSMode
	// TLSConfig has the roots and perhaps the name to verify the server by, which else is the address's host. It may
	// be nil where TLS is TLSNone.
	TLSConfig *tls.Config
	// Policy says whether Portico activates databases there by itself.
	Policy Policy
	// Sources are addresses of this machine to connect from, in turn: each has ports of its own towards the server.
	// None leaves it to the system.
	Sources []netip.Addr
	// ProxyProtocol is the version of HAProxy's PROXY protocol that tells the server who the client is, 1 or 2; 0 for
	// none.
	ProxyProtocol int
	// TrustedID says that the server may learn the client's address and session id by ID (RFC 2971), and believes
	// them.
	TrustedID bool
}

// DatabaseOptions describe one database: a group of mailboxes.
type DatabaseOptions struct {
	Name   string
	Copies []string // names of mailbox servers; the first starts active
	// Interchangeable says that all copies are the same mail at all times, so that a sign-in may try the next one.
	Interchangeable bool
	Hook            Hook // called for each move; nil where nobody has to know
}

// Timeouts bound the phases of one attempt to sign in.
type Timeouts struct {
	Dial     time.Duration // TCP connect to one address
	TLS      time.Duration // STARTTLS and handshake
	Greeting time.Duration // the greeting, and again each answer to CAPABILITY
	SignIn   time.Duration // ID and sign-in until the tagged answer
}

// Options of a Tier. They must be complete, except for fields that may be nil.
type Options struct {
	Servers   []ServerOptions
	Databases []DatabaseOptions
	Routing   Routing
	// Directory says who is where; nil leaves that to Routing. What it remembers is its own business.
	Directory directory.Source
	// Homes are users whose database is known, whatever the directory and Routing say of the place: health mailboxes,
	// by canonical name.
	Homes map[string]string
	// Verifier judges passwords where the proxy has to know them itself; nil where it never has.
	Verifier directory.Verifier
	// Close ends what Directory and Verifier keep; nil where they keep nothing. See Tier.Close.
	Close func()
	// Mode is that of users of whom the directory says none.
	Mode   directory.Mode
	Master *Master // for users in mode master; nil where there is none
	// Certificates says that clients may show by a certificate who they are.
	Certificates bool
	Store        store.Store // with RoutingHash: keeps the set of databases users are spread over; else it may be nil
	// Active keeps the active copies, and learns of the databases by Tier.Configure.
	Active            *ActiveManager
	OfferedMechanisms *OfferedMechanisms // remembers what the servers offer
	SigninQueues      *SigninQueues      // hold sign-ins to servers
	CircuitBreakers   *CircuitBreakers   // leave servers alone that fail
	SigninOutcomes    *SigninOutcomes    // of users, by server
	Upstream          Upstream
	Timeouts          Timeouts
	Now               func() time.Time // deadlines are set by it
}

// Tier is the mailbox tier: all mailbox servers and databases. It is safe for concurrent use: its fields do not
// change, and parts that change guard themselves.
type Tier struct {
	topology       topology       // which mailbox servers and databases there are
	locator        locator        // in which of them a user's mailbox is
	active         *ActiveManager // which server has the active copy of a database
	authentication authentication // how users and Portico prove who they are
	protection     protection     // when a server gets no sign-ins, or fewer
	answers        answerRounds   // which servers answer, for views
	upstream       Upstream       // how to connect
	timeouts       Timeouts
	now            func() time.Time
}

// New checks the options and returns a Tier. It opens no connection and writes nothing; Configure applies the
// databases. With RoutingHash it returns a *PinMismatchError if users are spread over another set of databases. ctx
// bounds only reads of the store.
func New(ctx context.Context, o Options) (*Tier, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("tier options: %w", err)
	}
	if err := checkMaster(o); err != nil {
		return nil, err
	}
	configured, err := newTopology(o)
	if err != nil {
		return nil, err
	}
	if err := checkRouting(ctx, o); err != nil {
		return nil, err
	}
	t := &Tier{
		topology: configured,
		active:   o.Active,
		authentication: authentication{mode: o.Mode, verifier: o.Verifier, master: o.Master,
			verified: verifiedMechanisms(o.Verifier, o.Certificates), offered: o.OfferedMechanisms},
		protection: protection{circuitBreakers: o.CircuitBreakers, queues: o.SigninQueues, outcomes: o.SigninOutcomes},
		upstream:   o.Upstream,
		timeouts:   o.Timeouts,
		now:        o.Now,
	}
	t.locator.configure(o, &t.topology)
	return t, nil
}

// check returns an error that names a field without a usable value, or nil.
func (o *Options) check() error {
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"Mode", o.Mode == directory.ModePassthrough || o.Mode == directory.ModeMaster},
		{"Active", o.Active != nil},
		{"OfferedMechanisms", o.OfferedMechanisms != nil},
		{"SigninQueues", o.SigninQueues != nil},
		{"CircuitBreakers", o.CircuitBreakers != nil},
		{"SigninOutcomes", o.SigninOutcomes != nil},
		{"Upstream", o.Upstream != nil},
		{"Timeouts.Dial", o.Timeouts.Dial > 0},
		{"Timeouts.TLS", o.Timeouts.TLS > 0},
		{"Timeouts.Greeting", o.Timeouts.Greeting > 0},
		{"Timeouts.SignIn", o.Timeouts.SignIn > 0},
		{"Now", o.Now != nil},
	} {
		if !field.given {
			return fmt.Errorf("%s is missing", field.name)
		}
	}
	return nil
}

// check returns an error that names a field without a usable value, or nil.
func (o *ServerOptions) check() error {
	switch {
	case len(o.Addresses) == 0:
		return errors.New("the mailbox server has no address")
	case o.TLS != TLSNone && o.TLSConfig == nil:
		return errors.New("TLSConfig is missing")
	case o.Policy != Unrestricted && o.Policy != BlockedByPolicy:
		return errors.New("Policy is missing")
	}
	return nil
}

// Configure applies the tier's databases, which replace those of the earlier tier: see ActiveManager.Configure. With
// RoutingHash it pins the set of databases if none is pinned yet.
func (t *Tier) Configure(ctx context.Context) ([]Adopted, error) {
	return t.topology.apply(ctx, t.active)
}

// Preview returns the databases that Configure would give another name, whose sessions end then, by their names until
// now, or its error. It changes nothing.
func (t *Tier) Preview(ctx context.Context) (renamed map[string]string, err error) {
	return t.active.Preview(ctx, t.topology.databases)
}

func checkRouting(ctx context.Context, o Options) error {
	databases := databaseNames(o.Databases)
	switch {
	case len(databases) == 0:
		return errors.New("no database is configured")
	case o.Routing == RoutingHash && o.Store == nil:
		return errors.New("routing by hash needs a store")
	case o.Routing == RoutingHash:
		_, err := comparePin(ctx, o.Store, databases)
		return err
	case len(databases) > 1 && o.Directory == nil:
		return fmt.Errorf("%d databases, but nothing decides which user is in which: configure a directory or "+
			"routing by hash", len(databases))
	}
	return nil
}

// Close closes the connections to directories, after the calls of Where in progress. Later sign-ins get the same
// answer as if the directories were down.
func (t *Tier) Close() { t.locator.close() }

// ActiveManager returns the tier's ActiveManager.
func (t *Tier) ActiveManager() *ActiveManager { return t.active }
