package importer

import (
	"slices"
	"strconv"
	"strings"

	"portico/configs"
)

// listeners takes over the listeners for IMAP. Without another setting, Dovecot has imap at port 143 and imaps at 993.
func (v *dovecot) listeners() {
	hosts := []string{"::"}
	if x := find(v.tree, "listen"); x != nil {
		v.take(x, "")
		hosts = strings.FieldsFunc(x.value(), func(r rune) bool { return r == ' ' || r == ',' })
	}
	noTLS := v.sslMode() == "no"
	named := map[string]*directive{}
	for _, service := range v.tree {
		if service.name() != "service" || service.arg(0) != "imap-login" {
			continue
		}
		v.take(service, "")
		for _, x := range service.block {
			if x.name() == "inet_listener" {
				named[orDefault(x.arg(0), "imap")] = x
				continue
			}
			v.withoutBlock(x, "Portico is one process with an event loop for each CPU (loops)")
		}
	}
	for _, name := range []string{"imap", "imaps"} {
		if named[name] == nil && (name == "imap" || !noTLS) {
			v.listener(nil, name, hosts, noTLS)
		}
	}
	for _, service := range v.tree {
		for _, x := range service.block {
			if x.name() == "inet_listener" && named[x.arg(0)] == x {
				v.listener(x, x.arg(0), hosts, noTLS)
			}
		}
	}
}

// sslMode returns the setting ssl: yes, no or required.
func (v *dovecot) sslMode() string {
	if x := find(v.tree, "ssl"); x != nil {
		v.take(x, "")
		return x.arg(0)
	}
	return "yes"
}

// listener takes over one listener; x is nil for one that Dovecot has by itself.
func (v *dovecot) listener(x *directive, name string, hosts []string, noTLS bool) {
	number := map[bool]string{true: "993", false: "143"}[name == "imaps"]
	l := configs.Listener{TLS: configs.TLSStartTLS}
	if name == "imaps" {
		l.TLS = configs.TLSImplicit
	}
	if noTLS {
		l.TLS = configs.TLSNone
	}
	if x != nil {
		v.take(x, "")
		for _, y := range x.block {
			switch y.name() {
			case "port":
				v.take(y, "")
				if y.arg(0) == "0" {
					see(x.block)
					return
				}
				number = port(y.arg(0))
			case "address", "listen":
				v.take(y, "")
				hosts = strings.FieldsFunc(y.value(), func(r rune) bool { return r == ' ' || r == ',' })
			case "ssl":
				if v.take(y, ""); y.arg(0) == "yes" {
					l.TLS = configs.TLSImplicit
				}
			case "haproxy":
				v.take(y, "")
				l.ProxyProtocol = y.arg(0) == "yes"
			case "reuse_port":
				v.without(y, "Portico needs no more than one socket for a listener")
			}
		}
	}
	for _, host := range hosts {
		v.listenAt(x, l, host, number)
	}
}

func (v *dovecot) listenAt(x *directive, l configs.Listener, host, number string) {
	l.Address = listenAddress(host, number)
	if _, _, err := hostPort(l.Address, ""); err != nil {
		v.missing("listeners", "%s: %s is no address to listen on", v.tree[0].file, comment(l.Address))
		return
	}
	if x != nil {
		v.listen(x, l)
	} else {
		v.listen(&directive{file: v.tree[0].file, words: []string{"listen"}, seen: true}, l)
		delete(v.origin, "listeners["+strconv.Itoa(len(v.config.Listeners)-1)+"]")
	}
	if l.ProxyProtocol && len(v.config.TrustedNetworks) == 0 {
		v.config.TrustedNetworks = []string{"127.0.0.0/8"}
		v.decide(x, "trusted_networks", "name the networks of the proxies in front, which may say who the client is: "+
			"haproxy_trusted_networks is not set. Loopback is here so that the file is complete")
	}
}

// cleartext takes over whether passwords need TLS.
func (v *dovecot) cleartext() {
	x := find(v.all, "auth_allow_cleartext")
	allowed := x != nil && x.arg(0) == "yes"
	if x == nil {
		if x = find(v.all, "disable_plaintext_auth"); x != nil {
			allowed = x.arg(0) == "no"
		}
	}
	open := slices.ContainsFunc(v.config.Listeners, func(l configs.Listener) bool { return l.TLS == configs.TLSNone })
	switch {
	case !allowed && open:
		v.missing("settings.login_type", "listeners without TLS, at which Dovecot takes passwords from this machine "+
			"only. Portico takes none: use tls: starttls or implicit, or set plain_text_login")
	case !allowed && x != nil:
		v.take(x, "")
	case allowed && open:
		v.plainText(x, "Dovecot accepts passwords without TLS")
	case allowed && v.sslMode() == "required":
		v.remark(x, "settings", "ssl = required asks for TLS all the same, and so does Portico")
	case allowed:
		v.decide(x, "settings.login_type", "Dovecot also accepts passwords before STARTTLS, and Portico does not. If "+
			"old clients need that, set plain_text_login; anybody on the network path can then read passwords")
	}
}

// certificates takes over the certificate of a block and its key: "<FILE" in Dovecot 2.3, a file's name in 2.4.
func (v *dovecot) certificates(block []*directive) {
	for _, names := range [][2]string{{"ssl_cert", "ssl_key"}, {"ssl_server_cert_file", "ssl_server_key_file"},
		{"ssl_alt_cert", "ssl_alt_key"}, {"ssl_server_alt_cert_file", "ssl_server_alt_key_file"}} {
		cert, key := find(block, names[0]), find(block, names[1])
		if cert == nil || key == nil {
			continue
		}
		files := [2]string{cert.arg(0), key.arg(0)}
		inline := false
		for i, file := range files {
			name, isFile := strings.CutPrefix(file, "<")
			files[i] = absolute(v.source.base, strings.TrimSpace(name))
			inline = inline || !isFile && !strings.HasSuffix(names[0], "_file")
		}
		if inline {
			v.decide(cert, "tls.certificates", "the certificate or its key is in the setting itself: put it into a "+
				"file")
			key.seen = true
			continue
		}
		v.certificate(cert, files[0], files[1])
		v.take(key, "")
	}
}
