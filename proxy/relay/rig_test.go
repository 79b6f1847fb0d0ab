package relay

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// patience bounds every wait of these tests. It decides nothing: only a test that fails ever waits so long.
const patience = time.Minute

// driver is one implementation of Relay under test.
type driver struct {
	name string
	open func(Options) (Relay, error)

	mayLack bool // the kernel may not allow it
}

// ways are the combinations of plain and TLS ends.
type ways struct{ client, server bool }

func (w ways) String() string {
	name := map[bool]string{false: "plain", true: "tls"}
	return name[w.client] + "-" + name[w.server]
}

var allWays = []ways{{false, false}, {true, false}, {false, true}, {true, true}}

// eachWay runs a test on every driver with every combination of ends.
func eachWay(t *testing.T, test func(t *testing.T, r *rig)) {
	eachWayWith(t, Options{}, test)
}

// eachWayWith is eachWay for relays with options. Nothing may be left behind.
func eachWayWith(t *testing.T, opts Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	testkit.NoLeaks(t)
	t.Run("on", func(t *testing.T) {
		for _, d := range drivers {
			for _, w := range allWays {
				t.Run(d.name+"/"+w.String(), func(t *testing.T) {
					t.Parallel()
					test(t, newRig(t, d, opts, w))
				})
			}
		}
	})
}

// rig is a relay with a client and a mailbox server in the test's hands.
type rig struct {
	t     testing.TB
	relay Relay
	ways  ways
	tls   uint16 // the highest version to use; 0 = any

	mu    sync.Mutex
	talks []*talk
}

// complete fills in what a test has left out.
func complete(o Options) Options {
	return testkit.Complete(o, Options{
		Loops: 1, IdleTimeout: 30 * time.Minute, LingerTimeout: 30 * time.Second, KeepAlive: 10 * time.Minute,
		StallTimeout: 10 * time.Minute, UserTimeout: time.Minute, Panicked: func(any, []byte) {}, Now: Clock(),
	})
}

func newRig(t testing.TB, d driver, opts Options, w ways) *rig {
	t.Helper()
	r, err := d.open(complete(opts))
	if d.mayLack && err != nil {
		testkit.Barred(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	rg := &rig{t: t, relay: r, ways: w}
	t.Cleanup(rg.close)
	return rg
}

// close ends the relay and checks that nothing is left of its sessions.
func (r *rig) close() {
	r.relay.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, tk := range r.talks {
		if n := tk.endings.Load(); n != 1 {
			r.t.Errorf("session %d was told %d times that it is over", i, n)
		}
	}
	for name, s := range r.relay.Stats().Servers {
		if s.Sessions != 0 || s.Queued != 0 || s.Opaque != 0 {
			r.t.Errorf("gauges of %s after the end: %d sessions, %d queued, %d opaque", name, s.Sessions,
				s.Queued, s.Opaque)
		}
	}
	wantCountedAlike(r.t, r.relay.Stats())
}

// wantCountedAlike checks that servers, databases and listeners have counted the same.
func wantCountedAlike(t testing.TB, s *Stats) {
	t.Helper()
	var servers, databases, listeners GroupStats
	for _, server := range s.Servers {
		servers.Traffic.add(server.Traffic)
		for _, h := range server.Commands {
			if h != nil {
				servers.Commands.Add(h)
			}
		}
	}
	for _, group := range s.Databases {
		databases.add(group)
	}
	for _, group := range s.Listeners {
		listeners.add(group)
	}
	if databases != servers || listeners != servers {
		t.Errorf("servers have counted %+v, databases %+v, listeners %+v", servers, databases, listeners)
	}
}

// server returns what is counted for the rig's only mailbox server.
func (r *rig) server() *ServerStats { return r.relay.Stats().Server("mbx1") }

// talk is one session: the two peers of the relay.
type talk struct {
	t              testing.TB
	client, server *peer
	ended          chan Ending
	endings        atomic.Int32
}

// peer is the test's side of one connection.
type peer struct {
	t    testing.TB
	name string
	net.Conn
	tcp  *net.TCPConn
	cork *cork // under TLS
	in   *bufio.Reader
}

// cork holds back what is written while it is in, and then sends it at once.
type cork struct {
	net.Conn
	in   bool
	held []byte
}

func (c *cork) Write(p []byte) (int, error) {
	if c.in {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *cork) pull() error {
	c.in = false
	_, err := c.Conn.Write(c.held)
	return err
}

type setup func(*Session)

// start hands the relay a new session.
func (r *rig) start(change ...setup) *talk {
	r.t.Helper()
	tk := &talk{t: r.t, ended: make(chan Ending, 1)}
	s := Session{Server: "mbx1", Database: "db1", Listener: ":143", Offers: OffersNone, Extensions: allExtensions,
		Owner: ownerFunc(tk.over)}
	r.mu.Lock()
	r.talks = append(r.talks, tk)
	r.mu.Unlock()
	tk.client, s.Client = r.connect("client", r.ways.client, true)
	tk.server, s.Upstream = r.connect("server", r.ways.server, false)
	for _, f := range change {
		f(&s)
	}
	if err := r.relay.Add(s); err != nil {
		r.t.Fatal(err)
	}
	return tk
}

// ownerFunc is an Owner by a function.
type ownerFunc func(Ending)

func (f ownerFunc) Ended(e Ending) { f(e) }

func (f ownerFunc) User() string { return "alice" }

// over is called at the end.
func (tk *talk) over(e Ending) {
	if tk.endings.Add(1) == 1 {
		tk.ended <- e
	}
}

// connect makes one connection: the test's side of it, and the end for the relay.
func (r *rig) connect(name string, secure, relayServes bool) (*peer, End) {
	r.t.Helper()
	near, far := tcpPair(r.t)
	p := &peer{t: r.t, name: name, Conn: near, tcp: near, cork: &cork{Conn: near}}
	end := End{Conn: NewConn(far)}
	if secure {
		config := testTLS()
		config.MaxVersion = r.tls
		var ours *tls.Conn
		if relayServes {
			ours, end.TLS = tls.Client(p.cork, config), tls.Server(end.Conn, config)
		} else {
			ours, end.TLS = tls.Server(p.cork, config), tls.Client(end.Conn, config)
		}
		failed := make(chan error, 1)
		go func() { failed <- ours.Handshake() }()
		if err := errors.Join(end.TLS.Handshake(), <-failed); err != nil {
			r.t.Fatal(err)
		}
		p.Conn = ours
	}
	p.in = bufio.NewReaderSize(p.Conn, 64<<10)
	r.t.Cleanup(func() { near.Close() })
	return p, end
}

func tcpPair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// testTLS is a configuration for both sides, with a certificate made once. Its key exchange costs little under the race
// detector.
var testTLS = func() func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	leaf, _ := x509.ParseCertificate(der)
	roots.AddCert(leaf)
	return func() *tls.Config {
		return &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: roots,
			ServerName: "test", CurvePreferences: []tls.CurveID{tls.CurveP256},
		}
	}
}()

// say sends text; "\n" in it stands for CRLF.
func (p *peer) say(text string) {
	p.t.Helper()
	p.raw(crlf(text))
}

func (p *peer) raw(text string) {
	p.t.Helper()
	p.pieces([]string{text}, false)
}

// drip sends text byte by byte.
func (p *peer) drip(text string) {
	p.t.Helper()
	p.pieces(bytewise(text), false)
}

// pieces sends texts one by one. Where the session may end in between, the rest need not arrive.
func (p *peer) pieces(texts []string, mayEnd bool) {
	p.t.Helper()
	for _, text := range texts {
		if err := p.try(text); err != nil && !mayEnd {
			p.t.Fatalf("%s says %q: %v", p.name, excerpt(text), err)
		}
	}
}

// try sends text as it is.
func (p *peer) try(text string) error {
	p.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(p.Conn, text)
	return err
}

// halfClose ends the peer's direction in order.
func (p *peer) halfClose() {
	p.t.Helper()
	if c, ok := p.Conn.(*tls.Conn); ok {
		c.CloseWrite()
	}
	p.tcp.CloseWrite()
}

// reset ends the connection without order.
func (p *peer) reset() {
	p.tcp.SetLinger(0)
	p.tcp.Close()
}

// hears checks that exactly text comes next.
func (p *peer) hears(text string) {
	p.t.Helper()
	want := []byte(crlf(text))
	got := make([]byte, len(want))
	p.SetReadDeadline(time.Now().Add(patience))
	n, err := io.ReadFull(p.in, got)
	if err != nil || !bytes.Equal(got, want) {
		from := max(firstDifference(got[:n], want)-60, 0)
		p.t.Fatalf("%s hears, from byte %d on, %q (%v), want %q", p.name, from, excerpt(got[from:n]), err,
			excerpt(want[from:]))
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func excerpt[T string | []byte](p T) T { return p[:min(len(p), 300)] }

// hearsEnd checks that the stream ends here, in order.
func (p *peer) hearsEnd() {
	p.t.Helper()
	if rest, err := p.rest(); err != nil || rest != "" {
		p.t.Fatalf("%s hears %q (%v), want the end", p.name, excerpt(rest), err)
	}
}

// hearsCut checks that the stream ends here, and not in order.
func (p *peer) hearsCut() {
	p.t.Helper()
	if rest, err := p.rest(); err == nil || rest != "" || errors.Is(err, errTimeout) {
		p.t.Fatalf("%s hears %q (%v), want the stream cut", p.name, excerpt(rest), err)
	}
}

var errTimeout = errors.New("time-out")

// rest reads to the end. An end in order has no error.
func (p *peer) rest() (string, error) {
	p.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(p.in)
	if t, ok := err.(net.Error); ok && t.Timeout() {
		err = errTimeout
	}
	return string(rest), err
}

// end waits for the session's end.
func (tk *talk) end() Ending {
	tk.t.Helper()
	select {
	case e := <-tk.ended:
		return e
	case <-time.After(patience):
		tk.t.Fatal("the session does not end")
		return Ending{}
	}
}

// crlf makes line ends of IMAP.
func crlf(text string) string { return strings.NewReplacer("\n", "\r\n", "␊", "\n").Replace(text) }

// isReset says whether an error is that of a connection that the other side has cut.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF)
}
