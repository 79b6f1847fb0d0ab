package admin

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// ListenTCP opens a TCP address for Serve. The access is checked before the address is opened to anybody, and by what the
// address is, not by what it is called: a name may resolve to anything.
func ListenTCP(ctx context.Context, address string, a Access) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	if err := a.allowed(isLoopback(resolved)); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", resolved.String())
}

// isLoopback tells whether only this machine can reach addr. An address without a host is every interface.
func isLoopback(addr net.Addr) bool {
	if addr.Network() == "unix" {
		return true
	}
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// listener puts TLS on new connections, as the access of the moment says, and holds further ones back while there are
// maxConnections.
type listener struct {
	net.Listener
	door      *door
	room      chan struct{}
	closed    chan struct{}
	closeOnce sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	conn = &roomConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.room })}
	if config := l.door.server.access.Load().TLS; config != nil && !l.door.private {
		conn = tls.Server(conn, config)
	}
	return conn, nil
}

func (l *listener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// roomConn makes room when it is closed.
type roomConn struct {
	net.Conn
	leave func()
}

func (c *roomConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
