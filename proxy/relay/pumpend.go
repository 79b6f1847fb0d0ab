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
	held    []byte // read and not used
	pending []byte // not written yet
	reads   readState
	writes  writeState // writeShut when the writer is done, however that went
}

// note records what a read has ended with.
func (e *pumpEnd) note(err error) {
	switch {
	case err == nil:
	case err == io.EOF || e == &e.link.client && errors.Is(err, io.ErrUnexpectedEOF):
		e.reads.on(readEnds)
	default:
		e.reads.on(readBreaks)
	}
}

func (e *pumpEnd) write(p []byte) {
	if e.writes == writeOpen && len(p) > 0 {
		e.pending = append(e.pending, p...)
		e.link.changed.Broadcast()
	}
}

// shut ends our direction behind what is pending.
func (e *pumpEnd) shut() {
	e.writes.on(writeShuts)
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
		p.mu.Unlock()
		_, err := e.conn.Write(out)
		p.mu.Lock()
		if e == &l.upstream {
			l.flows()
		}
		if err != nil {
			failed, e.pending = true, nil
			e.writes.on(writeBreaks)
			if e == &l.client {
				e.reads.on(readBreaks)
				l.guard(l.conclude)
			}
		}
		l.changed.Broadcast()
	}
	if e.reads != readFailed && !failed && l.phase != resetting {
		p.mu.Unlock()
		closeWrite(e.conn, e.under)
		p.mu.Lock()
	}
	e.writes.on(writeDone)
	if l.phase != carrying {
		e.under.SetReadDeadline(time.Now()) // the reader may have to be told that the rest is now its own
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

// CloseWrite closes our direction of the connection, in the set-up phase.
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
