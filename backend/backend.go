// Package backend finds and signs in to mailbox servers: it decides which database a user is in (Router), which server
// has the active copy (ActiveManager), and returns a signed-in connection to that server (Tier.SignIn).
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
	"slices"
	"sync"
	"sync/atomic"
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
	Tally             *Tally             // counts how users' sign-ins end
	Upstream          Upstream
	Timeouts          Timeouts
	Now               func() time.Time // deadlines are set by it
}

// Tier is the mailbox tier: all mailbox servers and databases. It is safe for concurrent use.
type Tier struct {
	servers           map[string]*mailboxServer
	interchangeable   map[string]bool // by database
	databases         []DatabaseOptions
	pinIn             store.Store // with RoutingHash: where the set of databases is pinned
	active            *ActiveManager
	router            *Router
	standIns          *Router // of users who have no mailbox
	directory         directory.Source
	homes             map[string]string
	verifier          directory.Verifier
	mode              directory.Mode
	master            *Master
	answering         answerRounds
	asked             sync.RWMutex // held for reading by each Where under way
	close             func()
	judged            []string // the mechanisms of mode master
	offeredMechanisms *OfferedMechanisms
	circuitBreakers   *CircuitBreakers
	tally             *Tally
	signinQueues      *SigninQueues
	commonMechanisms  atomic.Pointer[commonMechanisms] // as Mechanisms returned it last
	byAddress         map[string]string                // host:port -> mailbox server
	upstream          Upstream
	timeouts          Timeouts
	now               func() time.Time
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
	t := newTier(o)
	for _, s := range o.Servers {
		if err := t.addServer(s); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(o.Databases))
	for _, d := range o.Databases {
		if err := t.addDatabase(d); err != nil {
			return nil, err
		}
		names = append(names, d.Name)
	}
	if err := checkRouting(ctx, o, names); err != nil {
		return nil, err
	}
	t.standIns = NewRouter(names)
	if len(names) == 1 || o.Routing == RoutingHash {
		t.router = t.standIns
	}
	if o.Routing == RoutingHash {
		t.pinIn = o.Store
	}
	return t, nil
}

// newTier returns a Tier without servers and databases.
func newTier(o Options) *Tier {
	return &Tier{
		servers:           make(map[string]*mailboxServer),
		interchangeable:   make(map[string]bool),
		databases:         o.Databases,
		byAddress:         make(map[string]string),
		directory:         o.Directory,
		homes:             o.Homes,
		verifier:          o.Verifier,
		mode:              o.Mode,
		master:            o.Master,
		judged:            verifiedMechanisms(o.Verifier, o.Certificates),
		active:            o.Active,
		offeredMechanisms: o.OfferedMechanisms,
		circuitBreakers:   o.CircuitBreakers,
		tally:             o.Tally,
		signinQueues:      o.SigninQueues,
		close:             o.Close,
		upstream:          o.Upstream,
		timeouts:          o.Timeouts,
		now:               o.Now,
	}
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
		{"Tally", o.Tally != nil},
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
	if t.pinIn == nil {
		return t.active.Configure(ctx, t.databases)
	}
	pinned, err := pin(ctx, t.pinIn, t.databases)
	if err != nil {
		return nil, err
	}
	adopted, err := t.active.Configure(ctx, t.databases)
	if err != nil && pinned != 0 {
		err = errors.Join(err, t.pinIn.Delete(context.WithoutCancel(ctx), pinKey, pinned))
	}
	return adopted, err
}

func (t *Tier) addServer(o ServerOptions) error {
	if _, twice := t.servers[o.Name]; twice || o.Name == "" {
		return fmt.Errorf("mailbox server %q: each name must be given exactly once", o.Name)
	}
	s, err := newMailboxServer(o, t.now)
	if err != nil {
		return fmt.Errorf("mailbox server %q: %w", o.Name, err)
	}
	t.servers[o.Name] = s
	for _, a := range o.Addresses {
		t.byAddress[a] = o.Name
	}
	return nil
}

func (t *Tier) addDatabase(o DatabaseOptions) error {
	if _, twice := t.interchangeable[o.Name]; twice || o.Name == "" {
		return fmt.Errorf("database %q: each name must be given exactly once", o.Name)
	}
	if len(o.Copies) == 0 {
		return fmt.Errorf("database %q: no mailbox server holds a copy", o.Name)
	}
	for i, name := range o.Copies {
		if t.servers[name] == nil {
			return fmt.Errorf("database %q: there is no mailbox server %q", o.Name, name)
		}
		if slices.Contains(o.Copies[:i], name) {
			return fmt.Errorf("database %q: mailbox server %q is named twice", o.Name, name)
		}
	}
	t.interchangeable[o.Name] = o.Interchangeable
	return nil
}

func checkRouting(ctx context.Context, o Options, databases []string) error {
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
func (t *Tier) Close() {
	t.asked.Lock()
	defer t.asked.Unlock()
	if t.close != nil {
		t.close()
	}
}

// ActiveManager returns the tier's ActiveManager.
func (t *Tier) ActiveManager() *ActiveManager { return t.active }
