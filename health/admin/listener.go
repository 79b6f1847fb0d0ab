package admin

import (
	"context"
	"crypto/tls"
	"net"
)

// ListenTCP opens a TCP address for Serve. The access is checked before the address is opened to anybody, and by what
// the address is, not by what it is called: a name may resolve to anything.
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

// listener puts TLS on new connections, as the access of the moment says, and gives them places.
type listener struct {
	net.Listener
	door   *door
	places *places
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	placed := l.places.enter(conn)
	if placed == nil {
		conn.Close()
		return nil, net.ErrClosed
	}
	conn = placed
	if config := l.door.server.access.Load().TLS; config != nil && !l.door.private {
		conn = tls.Server(conn, config)
	}
	return conn, nil
}

func (l *listener) Close() error {
	l.places.end()
	return l.Listener.Close()
}
