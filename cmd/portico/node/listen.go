package node

import (
	"context"
	"net"
	"net/netip"

	"portico/configs"
)

// listenTCP opens one of the listeners. Go sets no keep-alives: the relay does, in its own time. What is accepted
// inherits that small writes are not delayed.
func listenTCP(address string, all []configs.Listener) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: noDelay}
	return lc.Listen(context.Background(), networkOf(address, all), address)
}

// networkOf says which kinds of addresses to listen for. 0.0.0.0 is IPv4 alone, though Go would take it for both. [::]
// is both, unless 0.0.0.0 has the same port: then each takes its own.
func networkOf(address string, all []configs.Listener) string {
	host, port, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case ip.Is4():
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
