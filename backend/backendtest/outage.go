package backendtest

import (
	"net"
	"sync"
	"time"
)

// Outage is the fault of the server behind an OutageListener.
type Outage string

// The outages that clients can distinguish.
const (
	NoOutage Outage = "running"
	Stopped  Outage = "stopped" // connections are refused, and open ones have ended
	Silent   Outage = "silent"  // connections are accepted, and nothing is answered, as by a process that hangs
	Slow     Outage = "slow"    // each answer is late by slowness, as with a disk that is overloaded
)

const slowness = time.Second

// Outages lists them.
func Outages() []Outage { return []Outage{NoOutage, Stopped, Silent, Slow} }

// OutageListener is a TCP listener whose server can fail and work again, as its clients see it. Its methods are safe
// for concurrent use.
type OutageListener struct {
	addr net.Addr

	mu      sync.Mutex
	outage  Outage
	ln      net.Listener  // nil while stopped
	changed chan struct{} // closed at the next change
	closed  bool
	conns   map[*outageConn]bool
}

// ListenOutage listens on a TCP address, without an outage.
func ListenOutage(address string) (*OutageListener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &OutageListener{
		addr: ln.Addr(), ln: ln, outage: NoOutage, changed: make(chan struct{}), conns: make(map[*outageConn]bool),
	}, nil
}

// Set begins an outage, or with NoOutage ends one, and returns the previous state. An error says that the port cannot
// be opened again.
func (l *OutageListener) Set(o Outage) (was Outage, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was = l.outage
	switch {
	case l.closed:
		return was, net.ErrClosed
	case o == Stopped && l.ln != nil:
		l.ln.Close()
		l.ln = nil
		for conn := range l.conns {
			conn.Conn.Close()
		}
	case o != Stopped && l.ln == nil:
		if l.ln, err = net.Listen("tcp", l.addr.String()); err != nil {
			l.ln = nil
			return was, err
		}
	}
	l.outage = o
	l.wake()
	return was, nil
}

// wake makes all waiters look at the state again. The caller holds mu.
func (l *OutageListener) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// state returns the state, and a channel that is closed when it changes.
func (l *OutageListener) state() (outage Outage, ln net.Listener, closed bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outage, l.ln, l.closed, l.changed
}

// Accept implements net.Listener. It waits while the server is stopped.
func (l *OutageListener) Accept() (net.Conn, error) {
	for {
		_, ln, closed, changed := l.state()
		if closed {
			return nil, net.ErrClosed
		}
		if ln == nil {
			<-changed
			continue
		}
		conn, err := ln.Accept()
		if err == nil {
			if own := l.own(conn, ln); own != nil {
				return own, nil
			}
			conn.Close() // it came just before the server stopped
		} else if _, now, closed, _ := l.state(); now == ln && !closed {
			return nil, err
		}
	}
}

// own registers a connection with the listener. It returns nil if the server has stopped meanwhile.
func (l *OutageListener) own(conn net.Conn, from net.Listener) *outageConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ln != from || l.closed {
		return nil
	}
	c := &outageConn{Conn: conn, listener: l, done: make(chan struct{})}
	l.conns[c] = true
	return c
}

// Close implements net.Listener. Connections that a silent server holds end.
func (l *OutageListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.wake()
	if l.ln == nil {
		return nil
	}
	return l.ln.Close()
}

// Addr implements net.Listener.
func (l *OutageListener) Addr() net.Addr { return l.addr }

// outageConn reads and writes nothing while its server is silent, and writes late while it is slow.
type outageConn struct {
	net.Conn
	listener *OutageListener
	once     sync.Once
	done     chan struct{} // closed by Close
}

func (c *outageConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.await() {
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *outageConn) Write(p []byte) (int, error) {
	if outage, _, _, changed := c.listener.state(); outage == Slow {
		late := time.NewTimer(slowness)
		defer late.Stop()
		select {
		case <-late.C:
		case <-changed:
		case <-c.done:
		}
	}
	if !c.await() {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// await waits while the server is silent. It returns false if the connection ends first.
func (c *outageConn) await() bool {
	for {
		outage, _, closed, changed := c.listener.state()
		if outage != Silent {
			return true
		}
		if closed {
			return false
		}
		select {
		case <-changed:
		case <-c.done:
			return false
		}
	}
}

func (c *outageConn) Close() error {
	c.once.Do(func() {
		close(c.done)
		c.listener.mu.Lock()
		delete(c.listener.conns, c)
		c.listener.mu.Unlock()
	})
	return c.Conn.Close()
}
