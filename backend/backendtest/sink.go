package backendtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Sizes of the sink's buffers.
const (
	sinkInput   = 256 << 10 // read at once
	sinkOutput  = 256 << 10 // gathered before it is written
	sinkMaxLine = 64 << 10  // longer lines end the connection
	sinkPrivate = 4 << 10   // input of a connection with a goroutine of its own
)

// errSinkHangUp ends a connection on purpose: after LOGOUT, or after a line that is too long.
var errSinkHangUp = errors.New("sink hangs up")

// Sink is a server for benchmarks: it answers as fast as it can and means nothing by
// it. Any user signs in; any command is OK; literals are taken and dropped.
//
// SELECT of a mailbox called SIZEn (SIZE5120, SIZE1048576) makes each message of it
// n bytes long, the bytes being Filler(n); any other mailbox has 1 KiB messages. FETCH
// of a section of one message or a range n:m answers each of them; a fetch without a
// section gets flags.
//
// On Linux, plain connections live on one event loop, locked to a thread, without an
// allocation per command; elsewhere, and with TLS, each has a goroutine.
type Sink struct {
	tls    *tls.Config
	filler []byte
	work   sync.WaitGroup
	closed chan struct{}

	mu      sync.Mutex
	closing bool
	closers map[io.Closer]struct{} // listeners and connections
}

// NewSink returns a sink, with implicit TLS if there is a configuration.
func NewSink(config *tls.Config) *Sink {
	return &Sink{
		tls: config, filler: newFillerBlock(),
		closed: make(chan struct{}), closers: make(map[io.Closer]struct{}),
	}
}

// Serve answers connections from ln until Close, which may come first. It returns nil then.
func (s *Sink) Serve(ln net.Listener) error {
	if !s.begin(ln) {
		return nil
	}
	defer s.end(ln)
	if tcp, ok := ln.(*net.TCPListener); ok && s.tls == nil && sinkHasLoop {
		return s.serveLoop(tcp)
	}
	return s.serveGoroutines(ln)
}

// Close closes listeners and connections, and waits for their goroutines.
func (s *Sink) Close() error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		close(s.closed)
	}
	for c := range s.closers {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
	return nil
}

// begin registers c for Close. It returns false if Close came first.
func (s *Sink) begin(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		c.Close()
		return false
	}
	s.closers[c] = struct{}{}
	s.work.Add(1)
	return true
}

func (s *Sink) end(c io.Closer) {
	c.Close()
	s.mu.Lock()
	delete(s.closers, c)
	s.mu.Unlock()
	s.work.Done()
}

func (s *Sink) serveGoroutines(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("sink: accept: %w", err)
		}
		if s.tls != nil {
			conn = tls.Server(conn, s.tls)
		}
		if s.begin(conn) {
			go s.serveConn(conn)
		}
	}
}

// serveConn answers one connection. It ignores how the connection ends.
func (s *Sink) serveConn(conn net.Conn) {
	defer s.end(conn)
	if _, err := io.WriteString(conn, sinkGreeting); err != nil {
		return
	}
	var dialogue sinkDialogue
	in, out := make([]byte, sinkPrivate), make([]byte, 0, sinkPrivate)
	used := 0
	for {
		n, err := conn.Read(in[used:])
		used += n
		rest := in[:used]
		for n > 0 {
			var body int
			var stop error
			rest, out, body, stop = dialogue.run(rest, out[:0])
			if s.write(conn, out, body) != nil || stop != nil {
				return
			}
			if len(out) == 0 && body == 0 {
				break
			}
		}
		used = copy(in, rest)
		if err != nil || used > sinkMaxLine {
			return
		}
		if used == len(in) {
			in = append(in, make([]byte, len(in))...)
		}
	}
}

// write sends what was gathered and then a body of the given size.
func (s *Sink) write(conn net.Conn, out []byte, body int) error {
	conn.SetWriteDeadline(time.Now().Add(time.Minute))
	if len(out) > 0 {
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
	for body > 0 {
		n := min(body, len(s.filler))
		if _, err := conn.Write(s.filler[:n]); err != nil {
			return err
		}
		body -= n
	}
	return nil
}
