package relay

import (
	"errors"
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
	eof     bool
	broken  bool
	deaf    bool // writing has failed; what the peer sent may still be read
	shut    bool // end our direction behind pending
	written bool // the writer is done
}

func (e *pumpEnd) write(p []byte) {
	if !e.deaf && !e.shut && len(p) > 0 {
		e.pending = append(e.pending, p...)
		e.link.changed.Broadcast()
	}
}

// close ends our direction behind what is pending.
func (e *pumpEnd) close() {
	e.shut = true
	e.link.changed.Broadcast()
}

// writeTo is the goroutine that writes one end.
func (l *pumpLink) writeTo(e *pumpEnd) {
	p := l.relay
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(e.pending) == 0 && !e.shut && !e.broken {
			l.changed.Wait()
		}
		if len(e.pending) == 0 || e.broken || e.deaf {
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
			e.deaf, e.pending = true, nil
			if e == &l.client {
				e.broken = true
				l.guard(func() { l.finish(ReasonClient) })
			}
		}
		l.changed.Broadcast()
	}
	if !e.broken && !e.deaf && l.phase != pumpCutting {
		p.mu.Unlock()
		closeWrite(e.conn, e.under)
		p.mu.Lock()
	}
	e.written = true
	if l.phase != pumpCarrying {
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

// CloseWrite ends our direction of the connection, in its first life.
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

// awaitDelivery gives what was written time to reach the peer.
func (e *pumpEnd) awaitDelivery(patience time.Duration) {
	for end := time.Now().Add(patience); e.under.unacknowledged() > 0 && time.Now().Before(end); {
		time.Sleep(tick / 10)
	}
}
