package importer

import (
	"fmt"
	"strings"

	"portico/configs"
)

// allow is for a directive that lets clients send passwords without TLS to a listener. key is the listener's.
func (d *draft) allow(x *directive, key, does string) {
	x.seen = true
	d.cleartext[key] = demand{x, does}
}

// settleCleartext decides whether Portico takes passwords without TLS. It has one setting for all listeners, so it does
// so only if the source does on all of them.
func (d *draft) settleCleartext() {
	const key = "settings.login_type"
	var strict []string
	needed := false
	for i, l := range d.config.Listeners {
		_, allowed := d.cleartext[fmt.Sprintf("listeners[%d]", i)]
		switch {
		case l.TLS == configs.TLSImplicit:
		case !allowed:
			strict = append(strict, l.Address)
		case l.TLS == configs.TLSNone:
			needed = true
		}
	}
	if needed && len(strict) == 0 {
		d.config.Settings.LoginType = configs.PlainTextLogin
	}
	for i, l := range d.config.Listeners {
		of, allowed := d.cleartext[fmt.Sprintf("listeners[%d]", i)]
		switch {
		case !allowed || l.TLS == configs.TLSImplicit:
		case needed && len(strict) == 0 && l.TLS == configs.TLSNone:
			d.decide(of.by, key, "%s at %s. Without TLS, anybody on the network path reads passwords. Without this "+
				"key nobody could sign in there", of.does, l.Address)
		case needed && len(strict) == 0:
			d.decide(of.by, key, "%s, before STARTTLS, at %s too. With this key Portico does so", of.does, l.Address)
		case l.TLS == configs.TLSNone:
			d.decide(of.by, key, "%s at %s, but not at %s. Portico has one setting for all listeners, and the strict "+
				"one stays: nobody can sign in at %s until it has TLS. With plain_text_login anybody on the network "+
				"path could read passwords at all of them", of.does, l.Address, strings.Join(strict, ", "), l.Address)
		default:
			d.decide(of.by, key, "%s, before STARTTLS, and Portico does not. If old clients need that, set "+
				"plain_text_login; anybody on the network path can then read passwords", of.does)
		}
	}
}

// trustHeader is for networks of proxies that may send the PROXY protocol.
func (d *draft) trustHeader(x *directive, networks []string) {
	x.seen = true
	d.headers = append(d.headers, senders{x, networks})
}

// senders are networks that a directive names.
type senders struct {
	by       *directive
	networks []string
}

// settleTrust decides who may say who the client is. Portico has one list for the PROXY protocol and for ID.
func (d *draft) settleTrust() {
	const key = "trusted_networks"
	without := ""
	for _, l := range d.config.Listeners {
		if !l.ProxyProtocol {
			without = l.Address
		}
	}
	before := len(d.config.TrustedNetworks)
	for _, of := range d.headers {
		if d.expects == nil {
			of.by.seen = false
			d.without(of.by, "no listener for IMAP expects the PROXY protocol")
			continue
		}
		d.trust(of.by, of.networks)
		if without != "" {
			d.decide(of.by, key, "these networks may send the PROXY protocol. Portico also believes an ID command of "+
				"theirs that names a client, at each listener. If others reach %s through them, they could name any "+
				"address: use proxy_protocol at all listeners, or other addresses", without)
		}
	}
	switch {
	case d.expects == nil || len(d.headers) > 0 && len(d.config.TrustedNetworks) > 0:
	case before > 0:
		d.decide(d.expects, key, "a listener expects the PROXY protocol, and nothing says from whom. Here it is these "+
			"networks, which may also name a client by ID")
	default:
		d.config.TrustedNetworks = []string{"127.0.0.0/8"}
		d.decide(d.expects, key, "name the networks of the proxies in front, which may say who the client is: nothing "+
			"in the source does. Loopback is here so that the file is complete")
	}
}
