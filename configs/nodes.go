package configs

import (
	"net"
	"net/url"
)

// Node is another Portico of the same site. Commands reach it with --node, and global overrides also apply to it.
type Node struct {
	Address   string  `yaml:"address"`                    // URL of its admin.address
	CA        string  `yaml:"ca" file:"relative"`         // PEM; "" for the system's roots
	TokenFile string  `yaml:"token_file" file:"relative"` // a token of it with the right to change
	TLS       KeyPair `yaml:"tls"`                        // a client certificate with that right there
}

// nodes checks the other nodes.
func (v *validator) nodes() {
	for name, of := range v.c.Nodes {
		path := join("nodes", name)
		v.name(path, name)
		u, err := url.Parse(of.Address)
		switch {
		case of.Address == "" && !v.unread(join(path, "address")):
			v.failKey(path, "address is missing")
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			v.fail(join(path, "address"), "must be an http or https URL, not %q", of.Address)
		case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "80")):
			v.fail(join(path, "address"), "the token would be sent in plain text: use https")
		}
		v.nodeAccess(path, of, u)
		v.authorities(join(path, "ca"), of.CA)
	}
}

// nodeAccess checks by what another node lets this one in: a token or a client certificate.
func (v *validator) nodeAccess(path string, of Node, at *url.URL) {
	certificate := of.TLS != KeyPair{}
	switch {
	case of.TokenFile == "" && !certificate:
		v.failKey(path, "token_file is missing: give it, or tls with a client certificate")
	case of.TokenFile == "":
	default:
		if _, err := ReadToken(of.TokenFile); err != nil {
			v.fail(join(path, "token_file"), "%s", err)
		} else {
			v.secret(join(path, "token_file"), of.TokenFile)
		}
	}
	if !certificate {
		return
	}
	if at != nil && at.Scheme == "http" {
		v.failKey(join(path, "tls"), "the address must be an https URL for a client certificate")
	}
	v.pair(join(path, "tls"), of.TLS)
}
