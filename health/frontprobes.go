package health

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	proxyproto "github.com/pires/go-proxyproto"

	"portico/backend"
	"portico/backend/directory"
	"portico/backend/secret"
)

// Listener is one of Portico's own listeners, as a client finds it.
type Listener struct {
	Address  string // host:port to dial
	Implicit bool   // TLS from the first byte
	StartTLS bool   // TLS by STARTTLS
	// ProxyHeader says whether a client with an address has to begin with a header of the PROXY protocol; nil: none
	// has.
	ProxyHeader func(client netip.Addr) bool

	foreign bool // not ours: its certificate has to be for its name
}

// Front has what probes of the front end need.
type Front struct {
	Back
	// Listeners lists the listeners that take clients, those with TLS from the first byte first.
	Listeners func() []Listener
	// Left says why Portico has no descriptor left for a client, nil if it has one. nil: nobody knows.
	Left func() error
}

// CTP is ImapCTPProbe, of a customer touch point: through a listener of the front end, end to end, to the active copy
// of a database.
func (f Front) CTP(database string) func(context.Context, *Run) error {
	return func(ctx context.Context, run *Run) error { return f.ownFault(run, f.touch(ctx, run, database)) }
}

func (f Front) touch(ctx context.Context, run *Run, database string) error {
	if server, ok := f.Tier().ActiveManager().Active(database); ok {
		run.Mailbox = server
	}
	a, err := f.account(run, database)
	if err != nil {
		return failure(Authentication, "account", err)
	}
	var listener Listener
	if listeners := f.Listeners(); run.Endpoint != "" {
		listener = Listener{Address: run.Endpoint, Implicit: true, foreign: true}
	} else if len(listeners) > 0 {
		listener = listeners[0]
	} else {
		return &Failure{Networking, "dial", errors.New("none of Portico's listeners accepts clients")}
	}
	conn, err := enter(ctx, run, listener)
	if err != nil {
		return err
	}
	o := newProbeConn(ctx, conn, a.password)
	if listener.StartTLS {
		o.greeting = []byte("* OK behind STARTTLS\r\n")
	}
	client, end := o.client(run)
	defer end()
	run.Step("greeting")
	if err := o.awaitGreeting(client); err != nil {
		return &Failure{Networking, "greeting", err}
	}
	run.Step("signin")
	if err := client.Login(a.user, a.password.Reveal()).Wait(); err != nil {
		if listener.foreign { // how it goes on there is not known here
			return refused(err)
		}
		return f.diagnose(ctx, run, a, database, err)
	}
	return readMailbox(o, client, run, nil)
}

// enter connects to a listener, TLS included.
func enter(ctx context.Context, run *Run, listener Listener) (net.Conn, error) {
	run.Step("dial")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", listener.Address)
	if err != nil {
		return nil, failure(Networking, "dial", err)
	}
	if listener.ProxyHeader != nil && listener.ProxyHeader(addrPortOf(conn.LocalAddr()).Addr()) {
		// it names nobody (LOCAL): the addresses of the connection count
		if _, err := proxyproto.HeaderProxyFromAddrs(2, nil, nil).WriteTo(conn); err != nil {
			conn.Close()
			return nil, failure(Networking, "dial", err)
		}
	}
	if !listener.Implicit && !listener.StartTLS {
		return conn, nil
	}
	run.Step("tls")
	// The certificate is for the names that clients use; here it only has to be valid now. The key exchange is the
	// cheapest there is: it had been a tenth of all that probes cost, and this connection does not leave the machine.
	config := &tls.Config{
		InsecureSkipVerify: true, VerifyConnection: validNow, CurvePreferences: []tls.CurveID{tls.CurveP256},
	}
	if listener.foreign {
		host, _, _ := net.SplitHostPort(listener.Address) // who was dialled has one
		config = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	secure, err := secured(ctx, conn, listener.StartTLS, config)
	if err != nil {
		conn.Close()
		phase := "tls"
		if errors.Is(err, errNotValid) {
			phase = PhaseCertificate
		}
		return nil, &Failure{Networking, phase, err}
	}
	return secure, nil
}

// secured starts TLS on a connection.
func secured(ctx context.Context, conn net.Conn, startTLS bool, config *tls.Config) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if startTLS {
		if err := askForTLS(conn); err != nil {
			return nil, err
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

func askForTLS(conn net.Conn) error {
	if _, err := conn.Write([]byte("s STARTTLS\r\n")); err != nil {
		return err
	}
	lines := bufio.NewReaderSize(conn, 1<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return err
		}
		if text, ok := strings.CutPrefix(string(line), "s "); ok {
			if !strings.HasPrefix(text, "OK") {
				return fmt.Errorf("STARTTLS was answered with %.100q", text)
			}
			return nil
		}
	}
}

var errNotValid = errors.New("the certificate of this node")

// validNow returns an error for a certificate that has expired, or is not valid yet.
func validNow(state tls.ConnectionState) error {
	cert := state.PeerCertificates[0]
	now := time.Now()
	if now.After(cert.NotAfter) {
		return fmt.Errorf("%w has expired on %s", errNotValid, cert.NotAfter.Format(time.DateOnly))
	}
	if now.Before(cert.NotBefore) {
		return fmt.Errorf("%w is not valid before %s", errNotValid, cert.NotBefore.Format(time.DateOnly))
	}
	return nil
}

// diagnose finds out why the front end refuses a health mailbox: clients are told little, so it goes the same way by
// itself.
func (f Front) diagnose(ctx context.Context, run *Run, a account, database string, refusal error) error {
	ctx, cancel := run.beside(ctx, blameTime)
	defer cancel()
	tier := f.Tier()
	if _, _, err := tier.Where(ctx, directory.Query{User: a.name, Login: a.name}); err != nil {
		d, _ := blame(err)
		return &Failure{d, "route", fmt.Errorf("%w: %w", refusal, err)}
	}
	server, ok := tier.ActiveManager().Active(database)
	if !ok {
		return &Failure{HighAvailability, "route", fmt.Errorf("%w: there is no active copy", refusal)}
	}
	link, err := f.open(ctx, &Run{Account: a.user, Password: a.password.Reveal(), life: run.life, now: run.now},
		server, database)
	if err == nil {
		link.Conn.Close()
	}
	var failure *Failure
	var known *backend.Error
	switch {
	case errors.As(err, &failure):
		return &Failure{failure.Dependency, failure.Phase, fmt.Errorf("%w: %w", refusal, failure.Err)}
	case errors.As(err, &known):
		d, phase := blame(err)
		return &Failure{d, phase, fmt.Errorf("%w: %w", refusal, err)}
	}
	// The server takes what the front end refuses.
	return refused(refusal)
}

// refused returns what a refused sign-in blames, by the answer to the client.
func refused(refusal error) *Failure {
	var answered *imap.Error
	switch {
	case !errors.As(refusal, &answered): // there was no answer
		return failure(Networking, "signin", refusal)
	case answered.Code == imap.ResponseCodeUnavailable:
		return &Failure{HighAvailability, "signin", refusal}
	}
	return &Failure{Authentication, "signin", refusal}
}

// ProxyTest is ImapProxyTestProbe: our own listener, TLS, directory and, where the proxy verifies users, verification;
// no mailbox server is asked. Without a health mailbox it ends before the sign-in.
func (f Front) ProxyTest(admit Admit) func(context.Context, *Run) error {
	return func(ctx context.Context, run *Run) error { return f.ownFault(run, f.prove(ctx, run, admit)) }
}

func (f Front) prove(ctx context.Context, run *Run, admit Admit) error {
	listeners := f.Listeners()
	if len(listeners) == 0 {
		return &Failure{Networking, "dial", errors.New("none of Portico's listeners accepts clients")}
	}
	conn, err := enter(ctx, run, listeners[0])
	if err != nil {
		return err
	}
	secret := secret.Value(rand.Text())
	o := newProbeConn(ctx, conn, secret)
	if listeners[0].StartTLS {
		o.greeting = []byte("* OK behind STARTTLS\r\n")
	}
	client, end := o.client(run)
	defer end()
	run.Step("greeting")
	if err := o.awaitGreeting(client); err != nil {
		return &Failure{Networking, "greeting", err}
	}
	run.Step("capability")
	if _, err := client.Capability().Wait(); err != nil {
		return &Failure{None, "capability", err}
	}
	if a, ok := f.anybody(run); ok {
		revoke := admit(addrPortOf(conn.LocalAddr()), secret, a.password)
		defer revoke()
		run.Step("signin")
		if err := client.Login(a.user, secret.Reveal()).Wait(); err != nil {
			return f.unproved(ctx, a.name, err)
		}
	}
	run.Step("logout")
	if err := client.Logout().Wait(); err != nil {
		return &Failure{None, "logout", err}
	}
	return nil
}

// Admit allows one connection of a probe to test the sign-in; see proxy.ProbePass.
type Admit func(source netip.AddrPort, shown, password secret.Value) (revoke func())

// anybody returns a health mailbox of any database.
func (f Front) anybody(run *Run) (a account, ok bool) {
	for _, c := range f.Tier().ActiveManager().Copies() {
		if a, err := f.account(run, c.Database); err == nil {
			return a, true
		}
	}
	return a, false
}

// unproved returns why Portico refuses a sign-in that needs no mailbox server.
func (f Front) unproved(ctx context.Context, name string, refusal error) error {
	if _, _, err := f.Tier().Where(ctx, directory.Query{User: name, Login: name}); err != nil {
		d, _ := blame(err)
		return &Failure{d, "route", fmt.Errorf("%w: %w", refusal, err)}
	}
	return refused(refusal)
}

func addrPortOf(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}
