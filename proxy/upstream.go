package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"portico/backend"
	"portico/proxy/relay"
	"portico/proxy/setup"
)

// Upstream is how a Tier reaches mailbox servers for the sign-ins of a Server: a sign-in thread connects, and its other
// set-ups continue while one waits. It also serves callers that are no set-up, such as probes. The relay can take its
// connections over.
type Upstream struct{ Dialer setup.Dialer } // Dialer.Source is not used

var _ backend.Upstream = Upstream{}

// Dial implements backend.Upstream. What it returns is a *relay.Conn; see upstreamConn.
func (u Upstream) Dial(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	dialer := u.Dialer
	dialer.Source = source
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return relay.NewConn(conn), nil
}

// Wait implements backend.Upstream.
func (Upstream) Wait(ctx context.Context, f func(context.Context)) { setup.Away(ctx, f) }

// upstreamConn returns the link's connection in the form in which the relay takes it over: as Dial has made it. It
// closes a connection of any other kind, which comes from a tier that was built with another backend.Upstream.
func upstreamConn(link *backend.Link) (*relay.Conn, error) {
	conn, ok := link.Conn.(*relay.Conn)
	if !ok {
		link.Conn.Close()
		return nil, fmt.Errorf("%w: the tier's connections are %T, not those of Upstream", OutcomeInternal, link.Conn)
	}
	return conn, nil
}
