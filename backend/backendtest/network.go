package backendtest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Network is the TCP links between the parts of a site, which can fail one by one.
type Network struct {
	mu    sync.Mutex
	links []*Link
}

// Link forwards connections to an address. It can be late, lose what is sent in one direction or both, and end its
// connections. Its methods are safe for concurrent use.
type Link struct {
	Address string // where clients connect

	to      string
	ln      net.Listener
	running sync.WaitGroup
	ctx     context.Context // ends with Close
	end     func()

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	dropped Direction
	delay   time.Duration
	life    context.Context // of the connections; ends with Cut
	cut     func()
}

// Direction is where bytes of a link go.
type Direction uint8

// Directions.
const (
	Upstream   Direction = 1 << iota // to the address behind the link
	Downstream                       // to whoever has connected
)

// Link opens a link to a TCP address, on a free port of the loopback interface.
func (n *Network) Link(to string) (*Link, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{Address: ln.Addr().String(), to: to, ln: ln, changed: make(chan struct{})}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.life, l.cut = context.WithCancel(l.ctx)
	l.running.Go(l.serve)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links = append(n.links, l)
	return l, nil
}

// Close closes all links and ends their connections.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for _, l := range n.links {
		l.end()
		errs = append(errs, l.ln.Close())
	}
	for _, l := range n.links {
		l.running.Wait()
	}
	n.links = nil
	return errors.Join(errs...)
}

// Drop loses from now on all that goes in the given directions, until Mend. Nobody is told. What was sent meanwhile
// arrives after Mend, since TCP sends it again.
func (l *Link) Drop(d Direction) {
	l.change(func() { l.dropped |= d })
}

// Delay makes all bytes that are sent from now on late.
func (l *Link) Delay(d time.Duration) {
	l.change(func() { l.delay = d })
}

// Cut ends all connections, and each new one at once, until Mend.
func (l *Link) Cut() {
	l.change(func() { l.cut() })
}

// Mend ends Drop, Delay and Cut.
func (l *Link) Mend() {
	l.change(func() {
		l.dropped, l.delay = 0, 0
		if l.life.Err() != nil {
			l.life, l.cut = context.WithCancel(l.ctx)
		}
	})
}

func (l *Link) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
	close(l.changed)
	l.changed = make(chan struct{})
}

// passes waits while a direction is dropped. It returns false if ctx ends first.
func (l *Link) passes(ctx context.Context, d Direction) bool {
	for {
		l.mu.Lock()
		dropped, changed := l.dropped&d != 0, l.changed
		l.mu.Unlock()
		if !dropped {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (l *Link) serve() {
	for {
		conn, err := l.ln.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.carry(conn.(*net.TCPConn)) })
	}
}

// carry forwards one connection until both sides have closed it, one has reset it, or it is cut.
func (l *Link) carry(client *net.TCPConn) {
	l.mu.Lock()
	ctx, end := context.WithCancel(l.life)
	l.mu.Unlock()
	defer end()
	defer context.AfterFunc(ctx, func() { reset(client) })()
	if !l.passes(ctx, Upstream) {
		reset(client)
		return
	}
	conn, err := (&net.Dialer{Control: resetOnClose}).DialContext(ctx, "tcp", l.to)
	if err != nil {
		reset(client)
		return
	}
	server := conn.(*net.TCPConn)
	server.SetLinger(-1)
	defer context.AfterFunc(ctx, func() { reset(server) })()
	defer func() {
		for _, conn := range []*net.TCPConn{client, server} {
			if ctx.Err() != nil {
				reset(conn)
			}
			conn.Close()
		}
	}()
	var both sync.WaitGroup
	both.Go(func() { l.forward(ctx, end, server, client, Upstream) })
	both.Go(func() { l.forward(ctx, end, client, server, Downstream) })
	both.Wait()
}

// chunk is bytes on their way.
type chunk struct {
	bytes []byte
	due   time.Time
}

// forward copies one direction. It calls end if a side does not take or send any more.
func (l *Link) forward(ctx context.Context, end func(), to, from *net.TCPConn, d Direction) {
	sent := make(chan chunk, 64)
	var work sync.WaitGroup
	work.Go(func() {
		if !l.deliver(ctx, to, sent, d) {
			end()
		}
		for range sent { // so that nobody waits to send more
		}
	})
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		l.mu.Lock()
		due := time.Now().Add(l.delay)
		l.mu.Unlock()
		if n > 0 {
			sent <- chunk{buf[:n], due}
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) && l.passes(ctx, d) { // the reset of a connection can be lost, too
			end()
		}
		close(sent)
		work.Wait()
		return
	}
}

// deliver writes what was sent, and closes this direction behind it. It returns false if that fails.
func (l *Link) deliver(ctx context.Context, to *net.TCPConn, sent <-chan chunk, d Direction) bool {
	for c := range sent {
		if late := time.Until(c.due); late > 0 {
			timer := time.NewTimer(late)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
		if !l.passes(ctx, d) {
			return false
		}
		if _, err := to.Write(c.bytes); err != nil {
			return false
		}
	}
	return l.passes(ctx, d) && to.CloseWrite() == nil
}

// resetOnClose makes a socket end with an error for its other side, which may have accepted it when dialing is given
// up.
func resetOnClose(_, _ string, socket syscall.RawConn) error {
	var err error
	failed := socket.Control(func(fd uintptr) {
		err = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	})
	return errors.Join(failed, err)
}

// reset closes a connection so that its other side gets an error.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}
