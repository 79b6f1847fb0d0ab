package relay

import (
	"errors"
	"io"
	"net"
	"time"
)

// pumpEnd is one of a pumpLink's connections.
type pumpEnd struct {
	link    *pumpLink
	conn    net.Conn
	under   *Conn
	held    []byte // read and not used yet
	pending []byte // not written yet
	reads   readState
	writes  writeState // writeHalfClosed when the writer is done, even after a failure
}

// noteRead records the error that a read has returned.
func (e *pumpEnd) noteRead(err error) {
	switch {
	case err == nil:
	case err == io.EOF || e == &e.link.client && errors.Is(err, io.ErrUnexpectedEOF):
		e.reads.advance(eventReadEOF)
	default:
		e.reads.advance(eventReadError)
	}
}

func (e *pumpEnd) write(p []byte) {
	if e.writes == writeOpen && len(p) > 0 {
		e.pending = append(e.pending, p...)
		e.link.changed.Broadcast()
	}
}

// halfClose half-closes the connection once the pending bytes are written.
func (e *pumpEnd) halfClose() {
	e.writes.advance(eventHalfClose)
	e.link.changed.Broadcast()
}

// writeTo is the goroutine that writes one end.
func (l *pumpLink) writeTo(e *pumpEnd) {
	p := l.relay
	p.mu.Lock()
	defer p.mu.Unlock()
	failed := false
	for {
		for len(e.pending) == 0 && e.writes == writeOpen && e.reads != readFailed {
			l.changed.Wait()
		}
		if len(e.pending) == 0 || e.reads == readFailed || failed {
			break
		}
		out := e.pending
		e.pending = nil
		l.changed.Broadcast() // the other end may be read again
		p.mu.Unlock()
		_, err := e.conn.Write(out)
		p.mu.Lock()
		if e == &l.upstream {
			l.extendTime()
		}
		if err != nil {
			failed, e.pending = true, nil
			e.writes.advance(eventWriteError)
			if e == &l.client {
				e.reads.advance(eventReadError)
				l.protect(l.settleEnds)
			}
		}
		l.changed.Broadcast()
	}
	if e.reads != readFailed && !failed && l.phase != phaseResetting {
		p.mu.Unlock()
		closeWrite(e.conn, e.under)
		p.mu.Lock()
	}
	e.writes.advance(eventHalfClosed)
	if l.phase != phaseCarrying {
		e.under.SetReadDeadline(time.Now()) // wakes the reader, which now discards the rest
	}
	l.changed.Broadcast()
}

func closeWrite(conns ...net.Conn) {
	for _, c := range conns {
		if c, ok := c.(interface{ CloseWrite() error }); ok {
			c.CloseWrite()
		}
	}
}

// CloseWrite half-closes the connection, in the set-up phase.
func (c *Conn) CloseWrite() error {
	if c, ok := c.net.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

func setLinger(c *Conn) {
	if c, ok := c.net.(interface{ SetLinger(int) error }); ok {
		c.SetLinger(0)
	}
}
