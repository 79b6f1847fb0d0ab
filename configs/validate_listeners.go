package configs

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

func (v *validator) listeners() {
	listeners := v.c.Listeners
	if len(listeners) == 0 {
		v.failKey("listeners", "no listener is given: clients need an address to connect to")
	}
	for i, l := range listeners {
		path := item("listeners", i)
		if !v.address(join(path, "address"), l.Address, bindable) {
			continue
		}
		same := func(other Listener) bool { return Overlap(other.Address, l.Address) }
		before := slices.IndexFunc(listeners[:i], same)
		switch {
		case before >= 0 && listeners[before].Address == l.Address:
			v.fail(join(path, "address"), "%s is already used by listeners[%d]", l.Address, before)
		case before >= 0:
			v.fail(join(path, "address"), "%s overlaps %s of listeners[%d]: remove one of them", l.Address,
				listeners[before].Address, before)
		}
		if l.ProxyProtocol && len(v.c.TrustedNetworks) == 0 && !v.unread("trusted_networks") {
			v.failKey(join(path, "proxy_protocol"), "trusts nobody: name the proxies' networks in trusted_networks")
		}
		if l.TLS != TLSNone && l.TLS != "" && len(v.c.TLS.Certificates) == 0 && !v.unread("tls.certificates") {
			v.fail(join(path, "tls"), "%s needs a certificate: set tls.certificates", l.TLS)
		}
	}
}

// login warns if passwords may be sent unencrypted, or if nobody can sign in.
func (v *validator) login() {
	login := v.c.Settings.LoginType
	if v.unread("settings.login_type") {
		return
	}
	for i, l := range v.c.Listeners {
		path := join(item("listeners", i), "tls")
		_, _, err := net.SplitHostPort(l.Address)
		switch {
		case err != nil: // reported as such
		case login == PlainTextLogin && (l.TLS == TLSNone || l.TLS == TLSStartTLS) && !loopback(l.Address):
			v.warn("settings.login_type", "%s: passwords may reach %s unencrypted", login, l.Address)
		case login != PlainTextLogin && l.TLS == TLSNone:
			v.warn(path, "nobody can sign in at %s: settings.login_type %s requires TLS", l.Address, login)
		}
	}
}

func (v *validator) admin() {
	a := v.c.Admin
	if (a.TLS.Cert == "") != (a.TLS.Key == "") {
		v.failKey("admin.tls", "needs both cert and key")
	}
	for i, host := range a.AllowedHosts {
		if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
			v.fail(item("admin.allowed_hosts", i), "must be a host name or address without port, not %q", host)
		}
	}
	if a.SocketGroup != "" && a.Socket == "" {
		v.failKey("admin.socket_group", "admin.socket is not set")
	}
	v.clientRights()
	if a.Address == "" || !v.address("admin.address", a.Address, bindable) {
		return
	}
	if at := slices.IndexFunc(v.c.Listeners, func(l Listener) bool { return Overlap(l.Address, a.Address) }); at >= 0 {
		v.fail(v.given("admin.address", join(item("listeners", at), "address")),
			"%s is used by a listener and by admin.address: give one of them another port", a.Address)
	}
	if loopback(a.Address) {
		return
	}
	if a.TLS.Cert == "" && !v.unread("admin.tls.cert") {
		v.fail("admin.address", "%s is not a loopback address: set admin.tls", a.Address)
	}
	known := []string{"admin.token_file", "admin.tokens_file", "admin.client_ca"}
	if a.TokenFile+a.TokensFile+a.ClientCA == "" && !slices.ContainsFunc(known, v.unread) {
		v.fail("admin.address", "%s is not a loopback address: set admin.token_file, admin.tokens_file or "+
			"admin.client_ca", a.Address)
	}
}

// clientRights checks who may use HTTP by certificate.
func (v *validator) clientRights() {
	a := v.c.Admin
	switch {
	case a.ClientCA == "" && len(a.ClientRights) > 0 && !v.unread("admin.client_ca"):
		v.failKey("admin.client_rights", "admin.client_ca is not set: no certificate can be verified")
	case a.ClientCA != "" && a.TLS.Cert == "" && !v.unread("admin.tls.cert"):
		v.failKey("admin.client_ca", "admin.tls is not set: clients show certificates only over TLS")
	case a.ClientCA != "" && len(a.ClientRights) == 0 && !v.unread("admin.client_rights"):
		v.warn("admin.client_ca", "no certificate may do anything: name some in admin.client_rights")
	}
	if _, unnamed := a.ClientRights[""]; unnamed {
		v.failKey("admin.client_rights", "a certificate's common name is not empty")
	}
}

// bindable addresses may have no host (every interface) and port 0 (any free port); dialable ones may not.
const (
	bindable = true
	dialable = false
)

// address reports whether text is host:port.
func (v *validator) address(path, text string, bind bool) bool {
	if text == "" {
		v.fail(path, "is missing")
		return false
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		v.fail(path, "must be host:port, not %q", text)
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 && !bind {
		v.fail(path, "has no valid port: %q", text)
		return false
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) && (host != "" || !bind) {
		v.fail(path, "has no valid host: %q", text)
		return false
	}
	return true
}

// Overlap reports whether two addresses cannot be listened to at the same time. Names of hosts are not looked up.
func Overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if a == b || errA != nil || errB != nil || portA != portB || portA == "0" {
		return a == b
	}
	x, errA := netip.ParseAddr(cmp.Or(hostA, "::"))
	y, errB := netip.ParseAddr(cmp.Or(hostB, "::"))
	if errA != nil || errB != nil {
		return false
	}
	x, y = x.Unmap(), y.Unmap()
	if y.Is4() {
		x, y = y, x
	}
	if x.Is4() && y.Is6() { // [::] is IPv4 too, unless 0.0.0.0 has the port
		return y.IsUnspecified() && !x.IsUnspecified()
	}
	return x == y || x.IsUnspecified() || y.IsUnspecified()
}

// loopback reports whether data sent to an address stays on this machine. A name other than localhost may resolve to
// any address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
