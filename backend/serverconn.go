package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"portico/backend/secret"
	"portico/proxy/wire"
)

const (
	maxResponse = 64 << 10  // bytes of one response before the relay takes over, its literals included
	maxReceived = 256 << 10 // bytes of all of them
	maxQuoted   = 200       // bytes of a server's text in errors and replies
)

var errNonsense = errors.New("the server's answer matches no command")

// serverConn is a connection to a mailbox server on which one sign-in is tried. It owns the connection until that
// succeeds.
type serverConn struct {
	ctx     context.Context // ends the attempt at any point, by the connection's deadline
	tier    *Tier
	server  *mailboxServer
	address address
	request SignInRequest
	laps    stopwatch
	greeted func() // called when the server can be signed in to; may be nil

	conn      net.Conn  // as Upstream.Dial returned it
	tls       *tls.Conn // nil while plain
	stream    io.Writer // the outer one of the two
	responses *wire.ResponseReader
	received  int // bytes of responses
	tags      int // own tags used

	capabilities      wire.Capabilities
	capabilitiesKnown bool
}

// connect opens the connection, or leaves none behind.
func (c *serverConn) connect() error {
	c.laps.enter(PhaseDial)
	conn, address, err := c.tier.dial(c.ctx, c.server)
	if err != nil {
		return c.ioError(KindDial, err)
	}
	c.conn, c.address = conn, address
	c.stream = c.conn
	c.responses = wire.NewResponseReader(c.conn, maxResponse)
	return c.sendProxyHeader()
}

// enter begins a phase: its time starts now.
func (c *serverConn) enter(phase string, timeout time.Duration) {
	c.laps.enter(phase)
	c.conn.SetDeadline(c.tier.now().Add(timeout))
	if c.ctx.Err() != nil { // it may have ended before the deadline above was set
		interrupt(c.conn)
	}
}

// interrupt makes every read and write of conn fail, those under way too.
func interrupt(conn net.Conn) { conn.SetDeadline(time.Unix(1, 0)) }

// ownTag returns a tag for a command.
func (c *serverConn) ownTag() string {
	c.tags++
	return "p" + strconv.Itoa(c.tags)
}

func (c *serverConn) write(p []byte) error {
	if _, err := c.stream.Write(p); err != nil {
		return c.ioError(KindClosed, err)
	}
	return nil
}

// read returns the next response; BYE, and PREAUTH wherever it comes, are errors.
func (c *serverConn) read() (wire.Response, error) {
	resp, err := c.responses.ReadResponse()
	if err != nil {
		return resp, c.ioError(KindClosed, err)
	}
	c.received += len(resp.Raw)
	switch {
	case c.received > maxReceived:
		return resp, c.ioError(KindClosed, &wire.LimitError{What: "all responses", Limit: maxReceived})
	case resp.Status == wire.StatusBYE:
		e := c.fail(KindBye, fmt.Errorf("the server sent BYE: %s", c.clean(resp.Text)))
		e.Code, e.Text = c.codeForClient(resp)
		e.Crowded = c.crowded(resp)
		return resp, e
	case resp.Status == wire.StatusPREAUTH:
		return resp, c.fail(c.nonsenseKind(),
			errors.New("PREAUTH greeting: the server has not checked whose mailbox this is"))
	}
	return resp, nil
}

// answer reads up to the answer to a command, which is tagged or an untagged BAD, and learns the capabilities that
// come on the way.
func (c *serverConn) answer(tag string) (wire.Response, error) {
	for {
		resp, err := c.read()
		if err != nil {
			return resp, err
		}
		c.learn(resp)
		switch {
		case resp.Kind == wire.Untagged && resp.Status == wire.StatusBAD:
			return resp, nil // it could not read the tag
		case resp.Kind == wire.Untagged:
		case resp.Kind == wire.Tagged && resp.Tag == tag:
			return resp, nil
		default:
			return resp, c.fail(c.nonsenseKind(), errNonsense)
		}
	}
}

func (c *serverConn) learn(resp wire.Response) {
	if list, ok := resp.Capabilities(); ok {
		c.capabilities, c.capabilitiesKnown = list, true
	}
}

// fail makes an error of the phase under way.
func (c *serverConn) fail(kind Kind, err error) *Error {
	return &Error{Kind: kind, Server: c.server.name, Phase: c.laps.phase, Err: err}
}

// ioError finds the kind of a failed dial, handshake, read or write; kind is for those that neither took too long nor
// were broken off, nor read what is no IMAP.
func (c *serverConn) ioError(kind Kind, err error) *Error {
	var (
		timeout net.Error
		syntax  *wire.SyntaxError
		limit   *wire.LimitError
	)
	switch {
	case errors.Is(c.ctx.Err(), context.DeadlineExceeded):
		kind = KindTimeout
	case c.ctx.Err() != nil:
		kind, err = KindCancelled, context.Cause(c.ctx)
	case IsLocal(err):
		kind = KindLocal
	case errors.As(err, &timeout) && timeout.Timeout():
		kind = KindTimeout
	case errors.As(err, &syntax), errors.As(err, &limit):
		kind = c.nonsenseKind()
	}
	return c.fail(kind, err)
}

func (c *serverConn) nonsenseKind() Kind {
	if c.laps.phase == PhaseSignIn {
		return KindProtocol
	}
	return KindGreeting
}

// clean makes a server's text fit to quote: printable, bounded, and without the password it may repeat.
func (c *serverConn) clean(text string) string {
	if c.request.Credential.quotedIn(text) {
		return secret.Mask
	}
	return string(wire.AppendText(nil, text, maxQuoted))
}

// crowded says whether a server refuses a sign-in since the account has too many connections there. Servers have
// several codes for that, and Dovecot's UNAVAILABLE has other meanings too.
func (c *serverConn) crowded(resp wire.Response) bool {
	if c.laps.phase != PhaseSignIn {
		return false
	}
	text := strings.ToLower(resp.Text)
	return resp.Code == "LIMIT" || strings.Contains(text, "number of connections") ||
		strings.Contains(text, "too many connections")
}

// codeForClient returns the code of a refusal if the client may see it, and the text where only that helps: of an
// alert, which must be shown, and of a limit, which says what to do.
func (c *serverConn) codeForClient(resp wire.Response) (code, text string) {
	if !codesForClient[resp.Code] {
		return "", ""
	}
	if resp.Code == "ALERT" || resp.Code == "LIMIT" {
		text = c.clean(resp.Text)
	}
	return resp.Code, text
}

// codesForClient are the response codes whose meaning is the same whoever passes them on (RFC 5530, RFC 9051 section
// 7.1).
var codesForClient = map[string]bool{
	"UNAVAILABLE": true, "AUTHENTICATIONFAILED": true, "AUTHORIZATIONFAILED": true, "EXPIRED": true,
	"PRIVACYREQUIRED": true,
	"CONTACTADMIN":    true, "NOPERM": true, "INUSE": true, "EXPUNGEISSUED": true, "CORRUPTION": true,
	"SERVERBUG": true,
	"CLIENTBUG": true, "CANNOT": true, "LIMIT": true, "OVERQUOTA": true, "ALREADYEXISTS": true, "NONEXISTENT": true,
	"ALERT": true,
}
