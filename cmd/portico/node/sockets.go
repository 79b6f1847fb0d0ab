package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"portico/configs"
)

// listenTime bounds the lookup of a host name. Whoever asks for the listeners waits meanwhile.
const listenTime = 5 * time.Second

// listenTCP opens a listener for clients. Go sets no keep-alives: the relay does, in its own time. What is accepted
// inherits that small writes are not delayed.
func listenTCP(network, address string, leaving sockets) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(context.Background(), listenTime)
	defer cancel()
	ln, err := leaving.beside(net.ListenConfig{KeepAlive: -1, Control: noDelay},
		func(lc *net.ListenConfig) (net.Listener, error) { return lc.Listen(ctx, network, address) })
	if err == nil {
		return ln, nil
	}
	if failed := (*net.OpError)(nil); errors.As(err, &failed) { // it has 0.0.0.0 for [::]
		err = failed.Err
	}
	return nil, fmt.Errorf("listen on %s: %w", address, err)
}

// networkOf says which kinds of addresses to listen for. 0.0.0.0 is IPv4 alone, though Go would take it for both. [::]
// and no host are both, unless 0.0.0.0 has the same port: then each takes its own.
func networkOf(address string, all []configs.Listener) string {
	host, port, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(cmp.Or(host, "::"))
	switch {
	case err != nil:
		return "tcp"
	case ip.Unmap().Is4():
		return "tcp4"
	case !ip.IsUnspecified():
		return "tcp6"
	}
	for _, other := range all {
		if other.Address == net.JoinHostPort("0.0.0.0", port) {
			return "tcp6"
		}
	}
	return "tcp"
}

// overlap says whether two listening addresses have connections in common.
func overlap(a, b string) bool {
	x, errX := netip.ParseAddrPort(a)
	y, errY := netip.ParseAddrPort(b)
	return errX == nil && errY == nil && x.Port() == y.Port() &&
		(x.Addr() == y.Addr() || x.Addr().IsUnspecified() || y.Addr().IsUnspecified())
}

// sockets are listening sockets that are about to be closed.
type sockets []syscall.Conn

// beside opens a listener whose address may overlap theirs, such as 0.0.0.0:143 while 127.0.0.1:143 is open. The
// kernel allows that if both sockets have SO_REUSEPORT and belong to the same user. They have it only while this runs,
// so that no other process gets the port.
func (s sockets) beside(lc net.ListenConfig, open func(*net.ListenConfig) (net.Listener, error)) (net.Listener,
	error) {
	if len(s) == 0 {
		return open(&lc)
	}
	s.sharePort(true)
	defer s.sharePort(false)
	control := lc.Control
	lc.Control = func(network, address string, c syscall.RawConn) error {
		sharePort(c, true)
		if control == nil {
			return nil
		}
		return control(network, address, c)
	}
	ln, err := open(&lc)
	if opened, ok := ln.(syscall.Conn); ok && err == nil {
		sockets{opened}.sharePort(false)
	}
	return ln, err
}

func (s sockets) sharePort(share bool) {
	for _, one := range s {
		if c, err := one.SyscallConn(); err == nil {
			sharePort(c, share)
		}
	}
}
