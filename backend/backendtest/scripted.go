package backendtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
)

// Scripted is a server that plays scripts, one for each connection, including faults. It is safe for concurrent use.
type Scripted struct {
	ln      net.Listener
	tls     *tls.Config
	scripts []script
	work    sync.WaitGroup
	closed  chan struct{}

	mu         sync.Mutex
	closing    bool
	conns      map[net.Conn]struct{}
	transcript strings.Builder
	received   [][]byte // by connection
	marks      map[string]chan struct{}
	errs       []error
}

// StartScripted serves connections from ln until Close: the first with the first script, and so on; the last script
// serves all further ones. The error is about a script that cannot be read. The type script documents the language.
// TLS may be nil if no script uses it.
func StartScripted(ln net.Listener, config *tls.Config, scripts ...string) (*Scripted, error) {
	s := &Scripted{
		ln: ln, tls: config,
		closed: make(chan struct{}),
		conns:  make(map[net.Conn]struct{}),
		marks:  make(map[string]chan struct{}),
	}
	for i, text := range scripts {
		parsed, err := parseScript(text)
		if err != nil {
			return nil, fmt.Errorf("script %d: %w", i+1, err)
		}
		s.scripts = append(s.scripts, parsed)
	}
	if len(scripts) == 0 {
		return nil, errors.New("no script given")
	}
	s.work.Add(1)
	go s.accept()
	return s, nil
}

// Addr returns the address that it listens on.
func (s *Scripted) Addr() string { return s.ln.Addr().String() }

// Transcript is what all connections said so far, in the order it happened: lines of
// "1 C: ..." and "1 S: ...", the number being that of the connection. Literals and
// long lines are cut.
func (s *Scripted) Transcript() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transcript.String()
}

// Received returns all bytes that the script read on a connection (from 1), without TLS.
func (s *Scripted) Received(conn int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn < 1 || conn > len(s.received) {
		return nil
	}
	return append([]byte(nil), s.received[conn-1]...)
}

// Conns returns the number of connections so far.
func (s *Scripted) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.received)
}

// Err returns where clients departed from the script; nil if they did not.
func (s *Scripted) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.errs...)
}

// Reached waits until a script passed "mark name".
func (s *Scripted) Reached(ctx context.Context, name string) error {
	select {
	case <-s.mark("mark " + name):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("mark %s: %w; so far:\n%s", name, errors.Join(ctx.Err(), s.Err()), s.Transcript())
	}
}

// Signal makes scripts continue after "wait name", now and later.
func (s *Scripted) Signal(name string) { s.setMark("wait " + name) }

// Close ends all connections, waits for their scripts and returns Err. Being closed is
// no departure from a script.
func (s *Scripted) Close() error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		close(s.closed)
	}
	s.ln.Close()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
	return s.Err()
}

func (s *Scripted) accept() {
	defer s.work.Done()
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.report(fmt.Errorf("accept: %w", err))
			}
			return
		}
		if !s.begin(conn) {
			conn.Close()
			return
		}
	}
}

// begin runs the next script on conn, unless the server is closing.
func (s *Scripted) begin(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns[conn] = struct{}{}
	s.received = append(s.received, nil)
	number := len(s.received)
	steps := s.scripts[min(number, len(s.scripts))-1]
	s.work.Add(1)
	go s.play(conn, number, steps)
	return true
}

func (s *Scripted) play(conn net.Conn, number int, steps script) {
	defer s.work.Done()
	p := newPlayer(s, conn, number)
	err := p.play(steps)
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	if err != nil && !s.closing {
		s.errs = append(s.errs, fmt.Errorf("connection %d: %w", number, err))
	}
}

func (s *Scripted) report(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

// note adds to the transcript and to the received bytes.
func (s *Scripted) note(conn int, side string, data []byte) {
	const limit = 200
	s.mu.Lock()
	defer s.mu.Unlock()
	if side == "C" {
		s.received[conn-1] = append(s.received[conn-1], data...)
	}
	text := strings.TrimSuffix(string(data), "\r\n")
	if len(text) > limit {
		text = fmt.Sprintf("%s... (%d bytes)", text[:limit], len(data))
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		text = fmt.Sprintf("%q", text)
	}
	fmt.Fprintf(&s.transcript, "%d %s: %s\n", conn, side, text)
}

func (s *Scripted) mark(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.marks[name]
	if !ok {
		m = make(chan struct{})
		s.marks[name] = m
	}
	return m
}

func (s *Scripted) setMark(name string) {
	m := s.mark(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-m:
	default:
		close(m)
	}
}
