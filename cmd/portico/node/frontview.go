package node

import (
	"cmp"
	"net"
	"net/netip"
	"slices"

	"portico/backend/secret"
	"portico/configs"
	"portico/health"
	"portico/proxy"
)

// What probes and checks see of the client side.

// clientListeners lists the listeners that take clients, as a client on this machine finds them.
func (c *clientSide) clientListeners() []health.Listener {
	var all []health.Listener
	for _, listener := range c.listeners.all() {
		if !listener.ProxyProtocol { // it would want to hear from a proxy first
			all = append(all, ownListener(listener))
		}
	}
	slices.SortStableFunc(all, func(a, b health.Listener) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

// ownListener is a listener as a client on this machine finds it.
func ownListener(l *openListener) health.Listener {
	return health.Listener{Address: reachable(l.address), Implicit: l.TLS == configs.TLSImplicit,
		StartTLS: l.TLS == configs.TLSStartTLS}
}

func rank(d health.Listener) int {
	switch {
	case d.Implicit:
		return 0
	case d.StartTLS:
		return 1
	}
	return 2
}

// reachable is a listener's address, or loopback where it listens everywhere.
func reachable(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return addr.String()
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if at.Addr().Is6() && !at.Addr().Is4In6() {
		loopback = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(loopback, at.Port()).String()
}

// admit is health.Admit.
func (c *clientSide) admit(source netip.AddrPort, shown, password secret.Value) (revoke func()) {
	return c.server.Admit(proxy.ProbePass{Source: source, Secret: shown, Password: password})
}
