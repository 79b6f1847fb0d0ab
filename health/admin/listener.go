package admin

import (
	"context"
	"crypto/tls"
	"net"
)

// ListenTCP opens a TCP address for Serve, with the options of lc. The access is checked before the address is opened
// to anybody, and by what the address is, not by what it is called: a name may resolve to anything.
func ListenTCP(ctx context.Context, lc *net.ListenConfig, address string, a Access) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	if err := a.allowed(isLoopback(resolved)); err != nil {
		return nil, err
	}
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

// listener starts TLS on new connections, if the present access requires it, and gives each a slot.
type listener struct {
	net.Listener
	endpoint *endpoint
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn = l.endpoint.slots.enter(conn)
	if config := l.endpoint.server.access.Load().TLS; config != nil && !l.endpoint.socket {
		conn = tls.Server(conn, config)
	}
	return conn, nil
}

func (l *listener) Close() error {
	err := l.Listener.Close()
	l.endpoint.slots.end()
	return err
}
