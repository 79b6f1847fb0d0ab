package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"portico/backend"
	"portico/proxy/relay"
	"portico/proxy/setup"
	"portico/proxy/wire"
)

// client is a session's connection to its client during set-up: deadlines, commands in, answers out. Answers are kept
// until the next wait for the client, so that those to pipelined commands leave together. It owns the connection and
// what was read from it, until handOver.
type client struct {
	handedOver bool // connection and buffers are the relay's

	sock     setup.Conn
	conn     *relay.Conn // over sock
	tls      *tls.Conn   // over conn; nil while plain
	commands *wire.Reader
	out      []byte // answers not sent yet
	said     uint64 // bytes of answers so far
	muted    bool   // there are to be none

	drain    context.Context
	now      func() time.Time
	timeouts *Timeouts
	end      time.Time // of the whole set-up
	stopped  time.Time // since when the set-up's clock stands; zero while it runs

	ticket *ticket

	exchanging bool // what is read is part of an exchange with a mailbox server

	closing chan struct{} // gets a value when the client closes its side; nil while nobody wants to know

	mu      sync.Mutex // guards the rest
	leaving bool
	ends    error                   // why the session has to end, if it has
	wakes   context.CancelCauseFunc // ends what the session waits for instead of the client; nil if it does not
}

// maxOut is how many bytes of answers are kept before they are sent even though more commands have come, and firstOut
// for how many there is room from the greeting on.
const (
	maxOut   = 4 << 10
	firstOut = 256
)

func newClient(sock setup.Conn, t *ticket, drain context.Context, now func() time.Time, set *Settings) *client {
	c := &client{sock: sock, conn: relay.NewConn(sock), ticket: t, drain: drain, now: now, timeouts: &set.Timeouts}
	c.end = now().Add(set.Timeouts.SetUp)
	c.commands = wire.NewReader(c, set.Limits.Commands)
	return c
}

// stream is the connection as it is now, with TLS or without.
func (c *client) stream() net.Conn {
	if c.tls != nil {
		return c.tls
	}
	return c.conn
}

// tlsVersion names the version of TLS, or says that there is none.
func (c *client) tlsVersion() string {
	if c.tls == nil {
		return "none"
	}
	return tls.VersionName(c.tls.ConnectionState().Version)
}

// Read reads for commands: first the client gets its answers, then it has some time to say more.
func (c *client) Read(p []byte) (int, error) {
	c.ticket.clientSilent(c) // also while it does not take them
	if err := c.flush(); err != nil {
		return 0, err
	}
	if err := c.allow(c.timeouts.Idle); err != nil {
		return 0, err
	}
	n, err := c.stream().Read(p)
	return n, c.ioError(err)
}

// stopClock has the time until startClock not count for the set-up: the client waits for us.
func (c *client) stopClock() { c.stopped = c.now() }

// startClock ends what stopClock began.
func (c *client) startClock() {
	c.end = c.end.Add(c.now().Sub(c.stopped))
	c.stopped = time.Time{}
}

// allow gives the next calls d, at most until the end of the set-up. When the session has to end, it says so: that is
// checked behind the deadline, so that an end decided meanwhile is either seen here or sets a deadline behind ours.
func (c *client) allow(d time.Duration) error {
	deadline := c.now().Add(d)
	if c.stopped.IsZero() && c.end.Before(deadline) {
		deadline = c.end
	}
	if err := c.sock.SetDeadline(deadline); err != nil {
		return err
	}
	if err := c.ended(); err != nil {
		return err
	}
	if !c.now().Before(deadline) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// ended returns why the session has to end: the server drains, or the client has to give way. It returns nil while it
// has not.
func (c *client) ended() error {
	if err := context.Cause(c.drain); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ends
}

// endWith ends the session, whatever it waits for, with an outcome. It may be called from anywhere.
func (c *client) endWith(o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = o
	}
	if c.wakes != nil {
		c.wakes(c.ends)
	}
	if !c.leaving {
		c.sock.SetDeadline(time.Unix(1, 0))
	}
}

// attend returns a context for what the session waits for instead of the client. It ends when the session has to end,
// with the reason as its cause: it drains, it gives way, or the client has reset the connection. stop ends it
// otherwise.
func (c *client) attend(drain context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(drain)
	c.closing = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wakes = cancel; c.ends != nil {
		cancel(c.ends)
	}
	return ctx, func() {
		c.sock.WhenGone(nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wakes = nil
		cancel(nil)
	}
}

// hungUp takes the news that the client has reset the connection, or closed its side. In the latter case it may still
// read: see Closed.
func (c *client) hungUp(reset bool) {
	if reset {
		c.endWith(OutcomeClientGone)
	} else if c.closing != nil {
		select {
		case c.closing <- struct{}{}:
		default:
		}
	}
}

// StillWaits implements backend.WaitingClient. It keeps a client that is held from giving up, and finds out whether it
// has (RFC 9051 section 7.1: an untagged OK may come at any time).
func (c *client) StillWaits() error {
	c.say("* OK Still waiting for the mailbox server.")
	if err := c.flush(); err != nil {
		return &backend.ClientError{Err: err}
	}
	return nil
}

// Closed implements backend.WaitingClient, for the sign-in under way. Whether a client that has closed its side still
// reads, only writing can show: a client that does not resets the connection.
func (c *client) Closed() <-chan struct{} {
	if c.closing == nil {
		c.closing = make(chan struct{}, 1)
		c.sock.WhenGone(c.hungUp) // tells again what it has told before
	}
	return c.closing
}

// interrupt ends a wait for the client from another goroutine, but for the last one, in goodbye.
func (c *client) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leaving {
		c.sock.SetDeadline(time.Unix(1, 0))
	}
}

// during calls wait, which waits for the client, and ends its wait when the context ends.
func (c *client) during(ctx context.Context, wait func() error) error {
	drain := c.drain
	c.drain = ctx // of which allow looks at the end
	over := false // guarded by mu: a late call must not break off the next wait
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !over && !c.leaving {
			c.sock.SetDeadline(time.Unix(1, 0))
		}
	})
	defer func() {
		stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		over, c.drain = true, drain
	}()
	return wait()
}

// leave begins the last wait.
func (c *client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	c.sock.SetDeadline(c.now().Add(lingerTime))
}

// say adds to the answers.
func (c *client) say(line string) error { return c.keep(append(append(c.out, line...), "\r\n"...)) }

// answer adds a tagged or untagged status response.
func (c *client) answer(r reply, tag, code, text string) error {
	return c.keep(appendAnswer(c.out, r, tag, code, text))
}

func (c *client) keep(out []byte) error {
	if c.muted {
		return nil
	}
	c.said += uint64(len(out) - len(c.out))
	c.out = out
	if len(c.out) > maxOut {
		return c.flush()
	}
	return nil
}

// flush sends the answers.
func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.allow(c.timeouts.Write); err != nil {
		return err
	}
	return c.send()
}

func (c *client) send() error {
	_, err := c.stream().Write(c.out)
	c.out = c.out[:0]
	return c.ioError(err)
}

// ioError judges an error of reading or writing where that happens, because most errors of TLS have no type: a flood
// of key updates, a message out of place. Unless we lack resources, the client is the cause of what happens to its
// connection.
func (c *client) ioError(err error) error {
	switch {
	case err == nil, backend.IsLocal(err), outcomeOfIO(err) != OutcomeInternal:
		return err
	case c.tls != nil && !errors.As(err, new(syscall.Errno)):
		return fmt.Errorf("%w: %w", OutcomeTLSBroken, err)
	}
	return fmt.Errorf("%w: %w", OutcomeClientGone, err)
}

// How long, and for how much, a connection of ours stays open for the client to read our last words: closing a socket
// that holds unread bytes resets it, and the words are lost.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// goodbye sends what is left to say, to a client that may be stuck, and lets it be read unless time is short.
func (c *client) goodbye() {
	if c.handedOver {
		return
	}
	c.leave()
	if len(c.out) == 0 || c.send() != nil {
		return
	}
	if c.tls != nil {
		c.tls.CloseWrite()
	}
	c.sock.CloseWrite()
	if c.ended() == nil {
		io.CopyN(io.Discard, c.conn, lingerBytes)
	}
}

// close closes the connection, unless it is handed over.
func (c *client) close() {
	if !c.handedOver {
		c.sock.Close()
	}
}

// handOver gives the connection away, with what was read from it and not used yet.
func (c *client) handOver() relay.End {
	c.handedOver = true
	return relay.End{Conn: c.conn, TLS: c.tls, Rest: bytes.Clone(c.commands.Buffered())}
}

// deliver sends what a mailbox server said.
func (c *client) deliver(replies []byte) error {
	c.out = append(c.out, replies...)
	c.said += uint64(len(replies))
	return c.flush()
}
