package backend

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
)

// patience bounds what must happen in a test; short is a time-out that a test waits for.
const (
	patience = time.Minute
	short    = time.Second
)

// dialogue is what a fake mailbox server says and wants to hear, one step each:
//
//	S: line    sends the line
//	s: bytes   sends the bytes as they are
//	C: line    reads exactly this line
//	TLS        goes on with TLS
//	flood      sends one line without end, until that fails
//	reset      ends the connection with a RST
//	close      ends it with a FIN
//
// After the last step it waits until the other side closes: a connection left open fails the test.
type dialogue []string

// fake runs a mailbox server on a free port that holds one of the dialogues with each connection, in turn, and returns
// its address. When the test ends all dialogues must have come to their end.
func fake(t *testing.T, config *tls.Config, dialogues ...dialogue) string {
	t.Helper()
	l := testkit.Listen(t)
	var running sync.WaitGroup
	running.Go(func() {
		for _, d := range dialogues {
			conn, err := l.Accept()
			if err != nil {
				t.Errorf("a dialogue was never held: %q", d)
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			if err := d.hold(conn, config); err != nil {
				t.Errorf("mailbox server: %v", err)
			}
			conn.Close()
		}
	})
	t.Cleanup(func() {
		l.(*net.TCPListener).SetDeadline(time.Now().Add(time.Second))
		running.Wait()
	})
	return l.Addr().String()
}

func (d dialogue) hold(conn net.Conn, config *tls.Config) error {
	tcp := conn.(*net.TCPConn)
	r := bufio.NewReader(conn)
	for _, step := range d {
		var err error
		kind, text, _ := strings.Cut(step, ": ")
		switch kind {
		case "S":
			_, err = io.WriteString(conn, text+"\r\n")
		case "s":
			_, err = io.WriteString(conn, text)
		case "C":
			err = expect(r, text)
		case "TLS":
			server := tls.Server(conn, config)
			if server.Handshake() != nil {
				return nil // what the client makes of it is the test
			}
			conn, r = server, bufio.NewReader(server)
		case "flood":
			for err == nil {
				_, err = io.WriteString(conn, strings.Repeat("* OK and on ", 1000))
			}
			return nil
		case "reset":
			tcp.SetLinger(0)
			return tcp.Close()
		case "close":
			return tcp.Close()
		default:
			err = errors.New("no such step")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	if _, err := io.Copy(io.Discard, r); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the connection was not closed")
	}
	return nil
}

func expect(r *bufio.Reader, want string) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if got := strings.TrimSuffix(line, "\r\n"); got != want {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

// server returns options for mailbox server "mbx1" at addresses.
func server(mode TLSMode, config *tls.Config, addresses ...string) ServerOptions {
	return ServerOptions{Name: "mbx1", Addresses: addresses, TLS: mode, TLSConfig: config}
}

// tier returns a Tier with one database over the servers, interchangeable, whose connections must all be closed when
// the test ends.
func tier(t *testing.T, timeouts Timeouts, servers ...ServerOptions) *Tier {
	t.Helper()
	db := DatabaseOptions{Name: "db1", Interchangeable: true}
	for _, s := range servers {
		db.Copies = append(db.Copies, s.Name)
	}
	var open atomic.Int32
	got, err := newTestTier(t.Context(), Options{
		Servers:   servers,
		Databases: []DatabaseOptions{db},
		Timeouts:  timeouts,
		Upstream: dialing(func(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
			c, err := direct(ctx, source, address)
			if err != nil {
				return nil, err
			}
			open.Add(1)
			return &counted{Conn: c, closed: sync.OnceFunc(func() { open.Add(-1) })}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections left open", n)
		}
	})
	return got
}

// counted is a connection that says when it is closed, counts writes and remembers its deadline.
type counted struct {
	net.Conn
	closed   func()
	writes   int
	deadline time.Time
}

func (c *counted) SetDeadline(t time.Time) error { c.deadline = t; return c.Conn.SetDeadline(t) }

func (c *counted) Write(p []byte) (int, error) { c.writes++; return c.Conn.Write(p) }
func (c *counted) Close() error                { c.closed(); return c.Conn.Close() }

// signInAs signs a user in through the tier's route and closes the link when the test ends.
func signInAs(t *testing.T, tier *Tier, q SignInRequest) (*Link, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	route, err := tier.Route(ctx, directory.Query{User: "alice@example.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	link, err := tier.SignIn(ctx, route, q)
	if err == nil {
		t.Cleanup(func() { link.Conn.Close() })
	}
	return link, err
}

// alice is a LOGIN of alice.
func alice() SignInRequest {
	return SignInRequest{Tag: "a1", User: "alice@example.org",
		Credential: Credential{Username: "alice", Password: "wonder"}}
}

const aliceLogin = `C: p1 LOGIN "alice" "wonder"`

// signedIn is a server's answer to it, and what the client gets of that.
const (
	signedIn   = "S: p1 OK [CAPABILITY IMAP4rev1] in"
	signedInA1 = "a1 OK [CAPABILITY IMAP4rev1] in\r\n"
)

// failure returns err as an *Error.
func failure(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want an *Error", err, err)
	}
	return e
}

// certificates returns an authority's client configuration and a server configuration for the hosts.
func certificates(t *testing.T, o backendtest.CertOptions) (client, server *tls.Config) {
	t.Helper()
	ca, err := backendtest.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(o)
	if err != nil {
		t.Fatal(err)
	}
	return ca.ClientConfig(""), cert.ServerConfig()
}

func loopback() backendtest.CertOptions { return backendtest.CertOptions{Hosts: []string{"127.0.0.1"}} }
