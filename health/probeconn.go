package health

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"portico/backend/secret"
	"portico/proxy/wire"
)

// probeConn is a probe's connection. It ends with the probe's context, and keeps its last lines for the result. They
// hold no secret: of sent lines, it keeps what may be shown, and it masks the password wherever a server repeats it.
type probeConn struct {
	net.Conn
	greeting []byte // read before anything else
	password string
	stop     func() bool

	mu       sync.Mutex // guards the rest: the library has goroutines of its own
	held     []byte     // written by together's commands; nil without them
	sent     string
	received string
	partial  []byte // of a received line
}

// maxLine bounds a kept line, in bytes.
const maxLine = 200

func newProbeConn(ctx context.Context, conn net.Conn, password secret.Value) *probeConn {
	o := &probeConn{Conn: conn, password: password.Reveal()}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	o.stop = context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return o
}

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing. Only the probe's context bounds the time; the library
// would set deadlines of its own.
func (o *probeConn) SetDeadline(time.Time) error      { return nil }
func (o *probeConn) SetReadDeadline(time.Time) error  { return nil }
func (o *probeConn) SetWriteDeadline(time.Time) error { return nil }

// Read implements net.Conn.
func (o *probeConn) Read(p []byte) (n int, err error) {
	if len(o.greeting) > 0 {
		n = copy(p, o.greeting)
		o.greeting = o.greeting[n:]
		return n, nil
	}
	n, err = o.Conn.Read(p)
	o.keepLine(p[:n])
	return n, err
}

// keepLine keeps the last received line.
func (o *probeConn) keepLine(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(p) > 0 {
		eol := bytes.IndexByte(p, '\n')
		piece := p
		if eol >= 0 {
			piece = p[:eol]
		}
		o.partial = append(o.partial, piece[:min(len(piece), maxLine-len(o.partial))]...)
		if eol < 0 {
			return
		}
		o.received = o.clean(o.partial)
		o.partial, p = o.partial[:0], p[eol+1:]
	}
}

// clean makes a server's line fit to be shown.
func (o *probeConn) clean(line []byte) string {
	text := string(bytes.TrimRight(line, "\r"))
	if o.password != "" {
		text = strings.ReplaceAll(text, o.password, "*****")
	}
	return string(wire.AppendText(nil, text, maxLine))
}

// Write implements net.Conn. The library sends whole commands.
func (o *probeConn) Write(p []byte) (int, error) {
	shown := shownCommand(p)
	o.mu.Lock()
	if o.held != nil {
		if len(o.held) > 0 {
			shown = o.sent + "; " + shown
		}
		o.held, o.sent = append(o.held, p...), shown
		o.mu.Unlock()
		return len(p), nil
	}
	o.sent = shown
	o.mu.Unlock()
	return o.Conn.Write(p)
}

// awaitGreeting waits for the greeting of the client's connection. After a BYE the library stops reading, and says at
// random what the server said or only that the connection has ended; the server's words are what is wanted.
func (o *probeConn) awaitGreeting(client *imapclient.Client) error {
	err := client.WaitGreeting()
	o.mu.Lock()
	defer o.mu.Unlock()
	if verb := "* BYE "; err != nil && len(o.received) > len(verb) && strings.EqualFold(o.received[:len(verb)], verb) {
		return &imap.Error{Type: imap.StatusResponseTypeBye, Text: o.received[len(verb):]}
	}
	return err
}

// together sends the commands that f gives in one packet: each packet more has all on the way wake up once more.
func (o *probeConn) together(f func()) error {
	o.mu.Lock()
	o.held = []byte{}
	o.mu.Unlock()
	f()
	o.mu.Lock()
	held := o.held
	o.held = nil
	o.mu.Unlock()
	if len(held) == 0 {
		return nil
	}
	_, err := o.Conn.Write(held)
	return err
}

// shownCommand is what may be shown of a command.
func shownCommand(p []byte) string {
	_, event, head := new(wire.CommandScanner).Next(p)
	if event != wire.CommandBegin {
		return ""
	}
	var m wire.Mask
	m.Begin(head)
	m.Feed(p)
	shown := m.End().String()
	return strings.TrimSpace(strings.ToUpper(m.Name(head.Verb)) + " " + shown)
}

// Close implements net.Conn.
func (o *probeConn) Close() error {
	o.stop()
	return o.Conn.Close()
}

// client returns a client of what the connection leads to. Its lines are noted on the run when the probe calls the
// function that comes with it, which also ends the client.
func (o *probeConn) client(run *Run) (*imapclient.Client, func()) {
	c := imapclient.New(o, nil)
	return c, func() {
		c.Close()
		<-c.Closed()
		o.mu.Lock()
		defer o.mu.Unlock()
		run.Sent, run.Received = o.sent, o.received
	}
}
