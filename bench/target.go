package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"portico/backend/secret"
)

// TLSMode is how a connection starts TLS.
type TLSMode uint8

// The modes.
const (
	TLSNone TLSMode = iota
	TLSStartTLS
	TLSImplicit
)

var tlsModeNames = [...]string{"none", "starttls", "implicit"}

// String returns none, starttls or implicit.
func (m TLSMode) String() string { return tlsModeNames[m] }

// MarshalText implements encoding.TextMarshaler.
func (m TLSMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *TLSMode) UnmarshalText(text []byte) error {
	i := slices.Index(tlsModeNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is not one of none, starttls, implicit", text)
	}
	*m = TLSMode(i)
	return nil
}

// Target is a server under load. Its addresses are resolved and checked once, so a later change of the name has no
// effect.
type Target struct {
	Name  string           // as it was given, host:port
	Host  string           // default name for its certificate
	Addrs []netip.AddrPort // tried in this order
}

// Resolver looks up host names; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// RemoteError is the error about a target on another machine that is not allowed.
type RemoteError struct {
	Target string
	Addr   netip.Addr
}

func (e *RemoteError) Error() string {
	if e.Target == e.Addr.String() {
		return fmt.Sprintf("%s is not a loopback address; put load on other machines only with --allow-remote",
			e.Target)
	}
	return fmt.Sprintf("%s is %s, which is not a loopback address; put load on other machines only with "+
		"--allow-remote", e.Target, e.Addr)
}

// Resolve resolves host:port to a target. Every address of the host must be a loopback address, unless remote ones are
// allowed; otherwise the error is a *RemoteError.
func Resolve(ctx context.Context, r Resolver, hostport string, allowRemote bool) (Target, error) {
	if err := secret.CheckHostPort(hostport); err != nil {
		return Target{}, fmt.Errorf("target: %w", err)
	}
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return Target{}, fmt.Errorf("target %q: %w", hostport, err)
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", portText)
	if err != nil || port > 65535 {
		return Target{}, fmt.Errorf("target %q: port %q is neither a number up to 65535 nor a known service",
			hostport, portText)
	}
	t := Target{Name: hostport, Host: host}
	addrs, err := hostAddrs(ctx, r, host)
	if err != nil {
		return Target{}, fmt.Errorf("target %q: %w", hostport, err)
	}
	for _, addr := range addrs {
		addr = addr.Unmap()
		if !allowRemote && !addr.IsLoopback() {
			return Target{}, &RemoteError{Target: host, Addr: addr}
		}
		t.Addrs = append(t.Addrs, netip.AddrPortFrom(addr, uint16(port)))
	}
	return t, nil
}

// hostAddrs returns a host's addresses, those of IPv4 first.
func hostAddrs(ctx context.Context, r Resolver, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	if host == "" {
		return nil, fmt.Errorf("no host")
	}
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	return addrs, nil
}
