package importer

import (
	"fmt"
	"slices"
	"strings"

	"portico/configs"
)

// dovecotListener is an inet_listener of service imap-login, or one that Dovecot has by itself.
type dovecotListener struct {
	name     string
	by       *directive   // nil for one that no block names
	settings []*directive // of all blocks with its name
}

// listeners takes over the listeners for IMAP. Without another setting, Dovecot has imap at port 143 and imaps at 993.
func (v *dovecot) listeners() {
	hosts := []string{"::"}
	if x := find(v.tree, "listen"); x != nil {
		v.take(x, "")
		hosts = listWords(x.value())
	}
	noTLS := v.sslMode() == "no"
	byName := map[string]*dovecotListener{"imap": {name: "imap"}, "imaps": {name: "imaps"}}
	all := []*dovecotListener{byName["imap"], byName["imaps"]}
	for _, service := range v.tree {
		if service.name() != "service" || service.arg(0) != "imap-login" {
			continue
		}
		v.take(service, "")
		for _, x := range service.block {
			if x.name() != "inet_listener" {
				v.withoutBlock(x, "Portico is one process with an event loop for each CPU (loops)")
				continue
			}
			l := byName[x.arg(0)]
			if l == nil { // each block without a name is a listener of its own
				l = &dovecotListener{name: x.arg(0)}
				all = append(all, l)
				if l.name != "" {
					byName[l.name] = l
				}
			}
			v.take(x, "")
			l.by, l.settings = x, append(l.settings, x.block...)
		}
	}
	for _, l := range all {
		if v.overridden(l.settings); l.by != nil || l.name == "imap" || !noTLS {
			v.listener(l, hosts, noTLS)
		}
	}
}

// sslMode returns the setting ssl: yes, no or required.
func (v *dovecot) sslMode() string {
	if x := find(v.all, "ssl"); x != nil {
		v.take(x, "")
		return x.arg(0)
	}
	return "yes"
}

// listener takes over one listener.
func (v *dovecot) listener(of *dovecotListener, hosts []string, noTLS bool) {
	number := map[string]string{"imap": "143", "imaps": "993"}[of.name]
	l := configs.Listener{TLS: configs.TLSStartTLS}
	if of.name == "imaps" {
		l.TLS = configs.TLSImplicit
	}
	for _, y := range of.settings {
		switch y.name() {
		case "port":
			v.take(y, "")
			if number = port(y.arg(0)); number == "" && y.arg(0) != "0" {
				v.decide(y, "listeners", "no port")
			}
		case "address", "listen":
			v.take(y, "")
			hosts = listWords(y.value())
		case "ssl":
			v.take(y, "")
			l.TLS = map[bool]configs.TLSMode{true: configs.TLSImplicit, false: configs.TLSStartTLS}[y.arg(0) == "yes"]
		case "haproxy":
			v.take(y, "")
			l.ProxyProtocol = y.arg(0) == "yes"
		case "reuse_port":
			v.without(y, "Portico needs no more than one socket for a listener")
		}
	}
	if noTLS {
		l.TLS = configs.TLSNone
	}
	if number == "" {
		if of.by != nil {
			v.comment("", "%s: %s: Dovecot does not listen there: it has no port", of.by.place(), of.by.text())
		}
		return
	}
	for _, host := range hosts {
		v.listenAt(of.by, l, host, number)
	}
}

func (v *dovecot) listenAt(x *directive, l configs.Listener, host, number string) {
	l.Address = listenAddress(host, number)
	_, _, err := hostPort(l.Address, "")
	switch {
	case err != nil && x != nil:
		v.decide(x, "listeners", "%.60q is no address to listen on", l.Address)
	case err != nil:
		v.missing("listeners", "%s: %.60q is no address to listen on", v.tree[0].file, comment(l.Address))
	case x != nil:
		v.listen(x, l)
	default:
		key := v.listen(&directive{file: v.tree[0].file, words: []string{"listen"}, seen: true}, l)
		delete(v.origin, key)
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
	case allowed && v.sslMode() == "required":
		v.remark(x, "settings", "ssl = required asks for TLS all the same, and so does Portico")
	case allowed && !slices.ContainsFunc(v.config.Listeners, func(l configs.Listener) bool {
		return l.TLS != configs.TLSImplicit
	}):
		v.remark(x, "settings", "all listeners have TLS from the first byte")
	case allowed:
		for i := range v.config.Listeners {
			v.allow(x, fmt.Sprintf("listeners[%d]", i), "Dovecot accepts passwords without TLS")
		}
	}
}

// trusted takes over who may say who the client is.
func (v *dovecot) trusted() {
	if x := find(v.all, "login_trusted_networks"); x != nil {
		v.trust(x, listWords(x.value()))
		v.remark(x, "trusted_networks", "clients there may name another client by ID, or where a listener expects it "+
			"by the PROXY protocol. Dovecot also takes their passwords without TLS, and Portico does not")
	}
	if x := find(v.all, "haproxy_trusted_networks"); x != nil {
		v.trustHeader(x, listWords(x.value()))
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
		var files [2]string
		inline, known := false, true
		for i, x := range []*directive{cert, key} {
			name, isFile := strings.CutPrefix(x.arg(0), "<")
			if inline = inline || !isFile && !strings.HasSuffix(names[0], "_file"); inline {
				break
			}
			var ok bool
			files[i], ok = v.filePath(x, "tls.certificates", strings.TrimSpace(name))
			known = known && ok
		}
		if inline {
			v.decide(cert, "tls.certificates", "the certificate or its key is in the setting itself: put it into a "+
				"file")
			key.seen = true
			continue
		}
		if known {
			v.certificate(cert, files[0], files[1])
			v.take(key, "")
		}
	}
}
