package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// mailboxServer is a server as sign-in uses it: read-only but for where to begin, and what was learnt of it.
type mailboxServer struct {
	name      string
	addresses []address
	tls       TLSMode
	trustedID bool
	policy    Policy
	sources   []netip.Addr  // addresses of this machine to connect from
	turn      atomic.Uint32 // of the sources
	proxy     int           // version of the PROXY protocol; 0 for none
	list      atomic.Int32  // a listHabit
	first     atomic.Int32  // the address that answered last, so that a dead one before it costs its time-out once
}

type address struct {
	hostPort string
	offer    *tlsOffer // nil without TLS
}

func newMailboxServer(o ServerOptions, now func() time.Time) (*mailboxServer, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &mailboxServer{name: o.Name, tls: o.TLS, trustedID: o.TrustedID, policy: o.Policy, proxy: o.ProxyProtocol,
		sources: o.Sources}
	for _, hostPort := range o.Addresses {
		host, _, err := net.SplitHostPort(hostPort)
		if err != nil {
			return nil, err
		}
		to := address{hostPort: hostPort}
		if o.TLS != TLSNone {
			to.offer = newTLSOffer(o.TLSConfig, host, now)
		}
		s.addresses = append(s.addresses, to)
	}
	return s, nil
}

// dial connects to the first address that answers, each within its own time. Where ctx has a deadline, an address that
// does not answer leaves the ones behind it their share.
func (t *Tier) dial(ctx context.Context, s *mailboxServer) (net.Conn, address, error) {
	var failures []error
	first := int(s.first.Load())
	for i := range s.addresses {
		at := (first + i) % len(s.addresses)
		to := s.addresses[at]
		conn, err := t.dialOne(ctx, s, to.hostPort, t.dialTime(ctx, len(s.addresses)-i))
		if err == nil {
			if at != first {
				s.first.Store(int32(at))
			}
			return conn, to, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, address{}, errors.Join(failures...)
}

// dialTime returns how long one of the addresses that are left may take.
func (t *Tier) dialTime(ctx context.Context, left int) time.Duration {
	if at, ok := ctx.Deadline(); ok {
		return min(t.timeouts.Dial, time.Until(at)/time.Duration(left))
	}
	return t.timeouts.Dial
}

// dialOne connects to one address: from the server's next source, or where that has no port left, from the ones behind
// it.
func (t *Tier) dialOne(ctx context.Context, s *mailboxServer, hostPort string,
	within time.Duration) (net.Conn, error) {
	bounded := withTimeout(ctx, within)
	defer bounded.over()
	conn, err := t.dialFrom(bounded, s, hostPort)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", hostPort, err)
	}
	return conn, nil
}

func (t *Tier) dialFrom(ctx context.Context, s *mailboxServer, hostPort string) (net.Conn, error) {
	sources := s.sourcesTo(hostPort)
	if len(sources) == 0 {
		return t.upstream.Dial(ctx, netip.Addr{}, hostPort)
	}
	first := int(s.turn.Add(1))
	for i := 0; ; i++ {
		conn, err := t.upstream.Dial(ctx, sources[(first+i)%len(sources)], hostPort)
		if err == nil || i+1 == len(sources) || !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return conn, err
		}
	}
}

// sourcesTo returns the sources of the address's family, or all if that is a name.
func (s *mailboxServer) sourcesTo(hostPort string) []netip.Addr {
	to, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return s.sources
	}
	return slices.DeleteFunc(slices.Clone(s.sources),
		func(from netip.Addr) bool { return from.Is4() != to.Addr().Unmap().Is4() })
}
