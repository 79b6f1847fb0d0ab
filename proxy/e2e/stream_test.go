package e2e

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// stream is a client that notes every byte it is told, and how the connection came to its end. Its writes fail in
// silence: what a server does to a client that talks into a closed connection is seen by the reads.
type stream struct {
	net.Conn
	done chan struct{} // closed at the end

	mu    sync.Mutex
	more  chan struct{} // closed and replaced when something came
	got   []byte
	ended string
}

// How connections end.
const (
	endOpen  = "open"  // not yet
	endEOF   = "eof"   // in order: with TLS, by its close_notify
	endCut   = "cut"   // TCP closed in order, but TLS was not
	endReset = "reset" // by a TCP reset
)

// newStream begins to read from conn. It is closed with the test.
func newStream(t *testing.T, conn net.Conn) *stream {
	s := &stream{Conn: conn, done: make(chan struct{}), more: make(chan struct{}), ended: endOpen}
	go s.read()
	t.Cleanup(func() {
		conn.Close()
		<-s.done
	})
	return s
}

// dialStream connects to address, with TLS if there is a configuration.
func dialStream(t *testing.T, address string, config *tls.Config) *stream {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	return newStream(t, conn)
}

func (s *stream) read() {
	defer close(s.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := s.Conn.Read(buf)
		s.note(buf[:n], err)
		if err != nil {
			return
		}
	}
}

func (s *stream) note(p []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, p...)
	if err != nil {
		s.ended = howEnded(err)
	}
	close(s.more)
	s.more = make(chan struct{})
}

func howEnded(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return endEOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return endCut
	case errors.Is(err, syscall.ECONNRESET):
		return endReset
	}
	return err.Error()
}

// send writes.
func (s *stream) send(text string) { io.WriteString(s.Conn, text) }

// sendBytes writes byte by byte, each in a packet of its own.
func (s *stream) sendBytes(text string) {
	for i := range len(text) {
		s.send(text[i : i+1])
	}
}

// text returns what came so far, and how the connection ended.
func (s *stream) text() (got, end string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.got), s.ended
}

// await waits until found, given all that came from an offset on, answers with an offset behind it, and returns that
// offset. It answers false when that never happens.
func (s *stream) await(from int, found func(text string) int) (int, bool) {
	return s.awaitFor(testkit.Patience, from, found)
}

// awaitFor is await with less time.
func (s *stream) awaitFor(d time.Duration, from int, found func(text string) int) (int, bool) {
	timeout := time.After(d)
	for {
		s.mu.Lock()
		text, more, end := string(s.got[from:]), s.more, s.ended
		s.mu.Unlock()
		if n := found(text); n > 0 {
			return from + n, true
		}
		if end != endOpen {
			return from, false
		}
		select {
		case <-more:
		case <-timeout:
			return from, false
		}
	}
}

// line finds a whole line that fits, and returns the offset behind it.
func line(fits func(line string) bool) func(text string) int {
	return func(text string) int {
		at := 0
		for line := range strings.Lines(text) {
			at += len(line)
			if strings.HasSuffix(line, "\n") && fits(line) {
				return at
			}
		}
		return 0
	}
}

// begins finds a line that begins with a word.
func begins(word string) func(text string) int {
	return line(func(l string) bool {
		first, _, _ := strings.Cut(strings.TrimRight(l, "\r\n"), " ")
		return first == word
	})
}

// rest waits for the end and returns everything that came, and how it ended.
func (s *stream) rest() (got, end string) {
	select {
	case <-s.done:
	case <-time.After(testkit.Patience):
	}
	return s.text()
}
