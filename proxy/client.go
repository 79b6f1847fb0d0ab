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
	muted    bool   // send no answers

	drain    context.Context
	now      func() time.Time
	timeouts *Timeouts
	end      time.Time // deadline of the whole set-up
	stopped  time.Time // when stopClock was called; zero while the clock runs

	ticket *ticket

	exchanging bool // what is read is part of an exchange with a mailbox server

	closing chan struct{} // gets a value when the client closes its side; nil before Closed is called

	mu        sync.Mutex // guards the rest
	lingering bool
	endReason error                   // why the session has to end; nil if it does not
	endWait   context.CancelCauseFunc // ends the context of waitContext; nil without one
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

// stream returns the connection to read and write: TLS if it has begun.
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

// Read sends the answers, and then reads more of the client's commands, within the time-out.
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

// stopClock makes the time until startClock not count for the set-up, because the client waits for us.
func (c *client) stopClock() { c.stopped = c.now() }

// startClock ends what stopClock began.
func (c *client) startClock() {
	c.end = c.end.Add(c.now().Sub(c.stopped))
	c.stopped = time.Time{}
}

// allow sets the deadline of the next calls to d from now, or to the end of the set-up if that comes first. It returns
// the reason if the session has to end. It checks that after it has set the deadline, so that endWith cannot be missed:
// either allow sees the reason, or endWith sets its deadline later.
func (c *client) allow(d time.Duration) error {
	deadline := c.now().Add(d)
	if c.stopped.IsZero() && c.end.Before(deadline) {
		deadline = c.end
	}
	if err := c.sock.SetDeadline(deadline); err != nil {
		return err
	}
	if err := c.endCause(); err != nil {
		return err
	}
	if !c.now().Before(deadline) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// endCause returns why the session has to end, because the server drains or the client has to give way. It returns nil
// if the session may continue.
func (c *client) endCause() error {
	if err := context.Cause(c.drain); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endReason
}

// endWith ends the session with an outcome, whatever it waits for. Any goroutine may call it.
func (c *client) endWith(o Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endReason == nil {
		c.endReason = o
	}
	if c.endWait != nil {
		c.endWait(c.endReason)
	}
	if !c.lingering {
		c.sock.SetDeadline(time.Unix(1, 0))
	}
}

// waitContext returns a context for a wait that is not for the client. It ends when the session has to end, with the
// reason as its cause: the server drains, the client has to give way or has reset the connection. stop ends the context
// in any case.
func (c *client) waitContext(drain context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(drain)
	c.closing = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endWait = cancel; c.endReason != nil {
		cancel(c.endReason)
	}
	return ctx, func() {
		c.sock.WhenGone(nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.endWait = nil
		cancel(nil)
	}
}

// noteHangUp is called when the client has reset the connection, or has closed its side. After a close the client may
// still read; see Closed.
func (c *client) noteHangUp(reset bool) {
	if reset {
		c.endWith(OutcomeClientGone)
	} else if c.closing != nil {
		select {
		case c.closing <- struct{}{}:
		default:
		}
	}
}

// StillWaits implements backend.WaitingClient. It sends an untagged OK (RFC 9051 section 7.1), so that the client does
// not give up, and returns an error if the client has.
func (c *client) StillWaits() error {
	c.say("* OK Still waiting for the mailbox server.")
	if err := c.flush(); err != nil {
		return &backend.ClientError{Err: err}
	}
	return nil
}

// Closed implements backend.WaitingClient, for the current sign-in. A client that has closed its side may still read.
// Only a write shows whether it does: if not, it resets the connection.
func (c *client) Closed() <-chan struct{} {
	if c.closing == nil {
		c.closing = make(chan struct{}, 1)
		c.sock.WhenGone(c.noteHangUp) // also reports what it has reported before
	}
	return c.closing
}

// interrupt ends a wait for the client, except the last one, in goodbye. Any goroutine may call it.
func (c *client) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lingering {
		c.sock.SetDeadline(time.Unix(1, 0))
	}
}

// waitDuring calls wait, which waits for the client, and ends that wait when the context ends.
func (c *client) waitDuring(ctx context.Context, wait func() error) error {
	drain := c.drain
	c.drain = ctx // allow returns its cause
	over := false // guarded by mu: a late call must not end the next wait
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !over && !c.lingering {
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

// startLinger begins the last wait for the client, which interrupt and endWith do not end.
func (c *client) startLinger() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lingering = true
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

// ioError gives an error of reading or writing its outcome. It does so here because most errors of TLS have no type,
// such as a flood of key updates or an unexpected message. Unless we lack resources, the client causes the errors of
// its connection.
func (c *client) ioError(err error) error {
	switch {
	case err == nil, backend.IsLocal(err), outcomeOfIO(err) != OutcomeInternal:
		return err
	case c.tls != nil && !errors.As(err, new(syscall.Errno)):
		return fmt.Errorf("%w: %w", OutcomeTLSBroken, err)
	}
	return fmt.Errorf("%w: %w", OutcomeClientGone, err)
}

// How long a connection stays open so that the client can read our last lines, and how many of its bytes we read
// meanwhile: closing a socket that has unread bytes resets it, and the last lines are lost.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// goodbye sends the last answers, and waits until the client has read them, unless the session was told to end.
func (c *client) goodbye() {
	if c.handedOver {
		return
	}
	c.startLinger()
	if len(c.out) == 0 || c.send() != nil {
		return
	}
	if c.tls != nil {
		c.tls.CloseWrite()
	}
	c.sock.CloseWrite()
	if c.endCause() == nil {
		io.CopyN(io.Discard, c.conn, lingerBytes)
	}
}

// close closes the connection, unless it is handed over.
func (c *client) close() {
	if !c.handedOver {
		c.sock.Close()
	}
}

// handOver gives the connection to the relay, with the bytes that were read and not used yet.
func (c *client) handOver() relay.End {
	c.handedOver = true
	return relay.End{Conn: c.conn, TLS: c.tls, Rest: bytes.Clone(c.commands.Buffered())}
}

// deliver sends the replies of a mailbox server.
func (c *client) deliver(replies []byte) error {
	c.out = append(c.out, replies...)
	c.said += uint64(len(replies))
	return c.flush()
}
