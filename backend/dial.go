package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
)

// mailboxServer is a server as sign-in uses it: read-only but for where to begin.
type mailboxServer struct {
	name      string
	addresses []address
	tls       TLSMode
	trustedID bool
	first     atomic.Int32 // the address that answered last, so that a dead one before it costs its time-out once
}

type address struct {
	hostPort string
	tls      *tls.Config
}

func newMailboxServer(o ServerOptions) (*mailboxServer, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("it has no address")
	}
	s := &mailboxServer{name: o.Name, tls: o.TLS, trustedID: o.TrustedID}
	for _, hostPort := range o.Addresses {
		host, _, err := net.SplitHostPort(hostPort)
		if err != nil {
			return nil, err
		}
		s.addresses = append(s.addresses, address{hostPort: hostPort, tls: tlsConfigFor(o.TLSConfig, host)})
	}
	return s, nil
}

// dial connects to the first address that answers, each within its own time.
func (t *Tier) dial(ctx context.Context, s *mailboxServer) (net.Conn, address, error) {
	var failures []error
	first := int(s.first.Load())
	for i := range s.addresses {
		at := (first + i) % len(s.addresses)
		to := s.addresses[at]
		conn, err := t.dialOne(ctx, to.hostPort)
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

func (t *Tier) dialOne(ctx context.Context, hostPort string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeouts.Dial)
	defer cancel()
	conn, err := t.dialer.DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", hostPort, err)
	}
	return conn, nil
}
