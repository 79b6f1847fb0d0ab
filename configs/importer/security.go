package importer

import (
	"fmt"
	"net"
	"slices"

	"portico/configs"
)

// security is what the source demands of the connections to a mailbox server. A source may name a server several times;
// the strictest demand counts, and what is weaker needs a decision.
type security struct {
	encrypted   *directive // asks for TLS
	valid       *directive // asks for a certificate that is valid
	open, loose []demand   // ask for no TLS, and for any certificate
	header      *directive // has said whether there is a header of the PROXY protocol
}

// demand is a directive and what it makes the proxy do.
type demand struct {
	by   *directive
	does string
}

// encrypt is for a directive that makes the proxy use TLS.
func (d *draft) encrypt(x *directive, s *server, tls configs.TLSMode) {
	if s.encrypted == nil {
		s.encrypted, s.TLS = x, tls
	}
}

// open is for a directive that makes the proxy send passwords and mail to the server without TLS.
func (d *draft) open(x *directive, s *server, does string) {
	x.seen = true
	s.open = append(s.open, demand{x, does})
}

// unverified is for a directive that makes the proxy accept any certificate of the server.
func (d *draft) unverified(x *directive, s *server) {
	x.seen = true
	s.loose = append(s.loose, demand{by: x})
}

// validated is for a directive that makes the proxy accept a valid certificate only.
func (d *draft) validated(x *directive, s *server) {
	if s.valid == nil {
		s.valid = x
	}
}

// verified is for a server whose certificate the proxy did not look at, while Portico does.
func (d *draft) verified(x *directive, s *server) {
	if s.checked {
		return
	}
	s.checked = true
	d.decide(x, s.key("tls"), "Portico verifies this server's certificate, for the host of the address. If the "+
		"certificate is not from a public CA, give ca; if it has another name, give server_name")
}

// settle decides between the demands on a server.
func (d *draft) settle(s *server) {
	host, _, _ := net.SplitHostPort(s.Address)
	for _, of := range s.open {
		switch {
		case s.encrypted != nil:
			d.decide(of.by, s.key("tls"), "%s, and %s uses TLS. Portico has one way to a server, and it is the one "+
				"with TLS", of.does, s.encrypted.place())
		case !loopback(host):
			d.decide(of.by, s.key("tls"), "%s. Without TLS, anybody on the network path reads passwords and mail. "+
				"With starttls or implicit they are encrypted", of.does)
		}
		if s.encrypted == nil {
			s.TLS = configs.TLSNone
		}
	}
	if s.TLS == configs.TLSNone {
		return
	}
	for _, of := range s.loose {
		if s.valid != nil {
			d.decide(of.by, s.key("tls"), "any certificate is accepted here, and %s asks for a valid one. Portico "+
				"verifies it", s.valid.place())
			continue
		}
		s.InsecureSkipVerify = true
		fix := "Give ca, or server_name, and remove this key"
		if s.CA != "" {
			fix = "The source names a CA, which is in ca: remove this key if the certificate is from it"
		}
		d.decide(of.by, s.key("insecure_skip_verify"), "any certificate is accepted, so anybody on the network path "+
			"can read every password. %s", fix)
	}
}

// setText gives a server a text that directives may give only once.
func (d *draft) setText(x *directive, s *server, name string, field *string, value string) {
	if *field != "" && *field != value {
		d.decide(x, s.key(name), "another directive gives this server another %s: Portico has one for a server", name)
		return
	}
	*field = value
}

// setServerName takes over the name that the server's certificate must have.
func (d *draft) setServerName(x *directive, s *server, name string) {
	if !configs.IsHost(name) {
		d.decide(x, s.key("server_name"), "%.60q is no host name: give server_name the name in the certificate", name)
		return
	}
	d.setText(x, s, "server_name", &s.ServerName, name)
}

// setSources takes over the addresses to connect from.
func (d *draft) setSources(x *directive, s *server, addresses []string) {
	if slices.ContainsFunc(addresses, notIP) {
		d.decide(x, s.key("source_addresses"), "%.60q is no address to connect from", fmt.Sprint(addresses))
		return
	}
	if len(s.SourceAddresses) > 0 && !slices.Equal(s.SourceAddresses, addresses) {
		d.decide(x, s.key("source_addresses"), "another directive gives this server another address to connect from: "+
			"Portico uses the same for all users")
		return
	}
	s.SourceAddresses = addresses
	d.take(x, s.key("source_addresses"))
}

// setHeader takes over whether the server gets a header of the PROXY protocol.
func (d *draft) setHeader(x *directive, s *server, header configs.ProxyProtocol) {
	if s.header != nil && s.ProxyProtocol != header {
		d.decide(x, s.key("proxy_protocol"), "%s says otherwise of the PROXY protocol to this server: Portico has one "+
			"way to a server", s.header.place())
		return
	}
	s.header, s.ProxyProtocol = x, header
}
