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
		all = append(all, c.ownListener(listener))
	}
	slices.SortStableFunc(all, func(a, b health.Listener) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

// ownListener is a listener as a client on this machine finds it.
func (c *clientSide) ownListener(l *openListener) health.Listener {
	own := health.Listener{Address: reachable(l.address), Implicit: l.TLS == configs.TLSImplicit,
		StartTLS: l.TLS == configs.TLSStartTLS}
	if l.ProxyProtocol {
		own.ProxyHeader = func(client netip.Addr) bool {
			settings := c.config.current().settings()
			return settings.Trusts(client)
		}
	}
	return own
}

func rank(d health.Listener) int {
	switch {
	case d.ProxyHeader != nil: // only if there is no other
		return 3
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
