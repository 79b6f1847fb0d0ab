package importer

import (
	"net"
	"strings"

	"portico/configs"
)

// stream reads the block of the stream module: servers that carry IMAP.
func (n *nginx) stream(block []*directive) {
	for _, x := range block {
		switch x.name() {
		case "upstream":
			n.upstreams[x.arg(0)] = x
		case "set":
			n.variables[x.arg(0)] = x.arg(1)
		case "map":
			n.mapping(x)
		case "limit_conn_zone":
			zone := strings.Split(strings.TrimPrefix(x.arg(1), "zone="), ":")[0]
			n.zones[zone] = x.arg(0)
			n.take(x, "")
		}
	}
	var servers []*directive
	for _, x := range block {
		if x.name() != "server" {
			continue
		}
		if !n.carriesIMAP(x) {
			n.withoutBlock(x, "no server for IMAP: it has no port 143 or 993, nor imap in the name of its upstream. "+
				"Keep nginx for it")
			continue
		}
		n.take(x, "")
		n.streamServer(x, block)
		servers = append(servers, x)
	}
	n.overruled(block, servers)
	for _, x := range block {
		if x.name() == "upstream" && !x.seen {
			n.withoutBlock(x, "no server for IMAP uses it")
		}
	}
	n.explain(block, nginxReasons)
}

// mapping takes the default of a map, which proxy_pass can name.
func (n *nginx) mapping(x *directive) {
	if fallback := find(x.block, "default"); fallback != nil {
		n.variables[x.arg(1)] = fallback.arg(0)
	}
}

// resolve replaces a variable by what set, or the default of a map, gives it.
func (n *nginx) resolve(text string) string {
	for range 5 { // a variable may name another
		value, ok := n.variables[strings.NewReplacer("{", "", "}", "").Replace(text)]
		if !ok {
			break
		}
		text = value
	}
	return text
}

// usedMap returns the map that a variable comes from, or nil.
func usedMap(block []*directive, variable string) *directive {
	for _, x := range block {
		if x.name() == "map" && x.arg(1) == variable {
			return x
		}
	}
	return nil
}

// carriesIMAP says whether a server listens on a port of IMAP, passes connections to one, or to an upstream that says
// imap in its name.
func (n *nginx) carriesIMAP(server *directive) bool {
	for _, x := range server.block {
		text := x.arg(0)
		switch x.name() {
		case "proxy_pass":
			if up := n.upstreams[n.resolve(text)]; up != nil {
				if strings.Contains(strings.ToLower(up.arg(0)), "imap") {
					return true
				}
				for _, s := range up.block {
					if s.name() == "server" && imapPort(lastPort(s.arg(0))) {
						return true
					}
				}
			}
			text = n.resolve(text)
		case "listen":
		default:
			continue
		}
		if imapPort(lastPort(text)) {
			return true
		}
	}
	return false
}

// lastPort returns the number behind an address's last colon, or the number alone.
func lastPort(text string) string { return port(text[strings.LastIndexByte(text, ':')+1:]) }

// scope finds a directive of a server, or of the blocks around it.
func scope(name string, blocks ...[]*directive) *directive {
	for _, block := range blocks {
		if x := find(block, name); x != nil {
			return x
		}
	}
	return nil
}

// streamServer takes over a server that passes connections on.
func (n *nginx) streamServer(server *directive, stream []*directive) {
	for _, block := range [][]*directive{server.block, inherited(server.block, stream)} {
		n.certificates(block)
		for _, x := range block {
			n.streamDirective(x)
		}
	}
	for _, x := range server.block {
		if x.name() == "set" {
			n.variables[x.arg(0)] = x.arg(1)
		}
	}
	pass := find(server.block, "proxy_pass")
	if pass == nil {
		n.decide(server, "listeners", "the server passes connections nowhere")
		return
	}
	servers := n.targets(pass, stream)
	endsTLS := false // nginx ends the clients' TLS
	for _, x := range server.block {
		if x.name() == "listen" {
			endsTLS = endsTLS || strings.Contains(" "+x.value()+" ", " ssl ")
		}
	}
	for _, s := range servers {
		n.towards(pass, s, endsTLS, server.block, stream)
	}
	mode := configs.TLSStartTLS
	if _, number, err := net.SplitHostPort(firstAddress(servers)); err == nil && number == "993" && !endsTLS {
		mode = configs.TLSImplicit
	}
	for _, x := range server.block {
		if x.name() == "listen" {
			if lastPort(x.arg(0)) == "993" {
				mode = configs.TLSImplicit
			}
			n.listenDirective(x, mode)
		}
	}
	n.places(pass, servers)
	n.explain(server.block, nginxReasons)
}

func firstAddress(servers []*server) string {
	if len(servers) == 0 {
		return ""
	}
	return servers[0].Address
}

// streamDirective takes over a directive of the stream module that Portico has one value for.
func (n *nginx) streamDirective(x *directive) {
	c := n.config
	switch x.name() {
	case "proxy_timeout":
		n.nginxTime(x, "settings.authenticated_connection_timeout", &c.Settings.AuthenticatedConnectionTimeout)
	case "proxy_connect_timeout":
		n.nginxTime(x, "timeouts.connect", &c.Timeouts.Connect)
	case "limit_conn":
		if by := n.zones[x.arg(0)]; by != "$binary_remote_addr" && by != "$remote_addr" {
			n.decide(x, "settings", "a limit that counts by %.40q. Portico has limits for an address, a user and all",
				by)
			return
		}
		n.setNumber(x, "settings.max_connection_from_single_ip", &c.Settings.MaxConnectionFromSingleIP, x.arg(1))
	case "allow", "deny":
		n.decide(x, "listeners", "Portico takes clients from everywhere: let a firewall do this")
	case "set":
		n.take(x, "")
	case "geo", "split_clients", "js_import", "js_set", "js_access", "js_filter", "js_preread":
		n.decide(x, "databases", "Portico chooses servers by the user's name (docs/directory.md)")
	case "listen", "proxy_pass", "map", "upstream", "server", "limit_conn_zone":
	default:
		n.common(x)
	}
}

// targets returns the servers that proxy_pass names.
func (n *nginx) targets(pass *directive, stream []*directive) (servers []*server) {
	text := n.resolve(pass.arg(0))
	if m := usedMap(stream, pass.arg(0)); m != nil && !m.seen {
		see(m.block)
		n.decide(m, "databases", "nginx chooses servers by what %.40s is. Portico chooses them by the user's name: "+
			"this file has the servers of the default alone", m.arg(0))
	}
	n.take(pass, "")
	up := n.upstreams[text]
	if up == nil {
		if s := n.target(pass, text); s != nil {
			servers = append(servers, s)
		}
		return servers
	}
	n.take(up, "")
	for _, x := range up.block {
		switch x.name() {
		case "server":
			if s := n.target(x, n.resolve(x.arg(0))); s != nil {
				servers = append(servers, s)
			}
		case "least_conn", "hash", "random", "zone", "keepalive", "least_time", "state", "sticky":
			if !x.seen {
				n.without(x, "Portico sends each user to one server, chosen by the name (routing: hash)")
			}
		}
	}
	return servers
}

// target returns the server of an address, or nil if it cannot be used.
func (n *nginx) target(x *directive, address string) *server {
	host, number, err := hostPort(address, "")
	if err != nil {
		n.decide(x, "mailbox_servers", "no address of a mailbox server")
		return nil
	}
	words := " " + x.value() + " "
	if x.name() == "server" && strings.Contains(words, " down ") {
		n.without(x, "the server is marked as down")
		return nil
	}
	tls := configs.TLSStartTLS
	if number == "993" {
		tls = configs.TLSImplicit
	}
	s := n.server(x, "", host, number, tls)
	s.backup = false
	if x.name() != "server" {
		return s
	}
	var unknown []string
	for _, word := range x.args()[1:] {
		if word == "backup" {
			s.backup = true
			continue
		}
		unknown = append(unknown, word)
	}
	if len(unknown) > 0 {
		n.remark(x, s.key(""), "without %s: Portico spreads users evenly, and its circuit breaker and probes find "+
			"servers that fail", strings.Join(unknown, ", "))
	}
	return s
}

// towards takes over how nginx connects to a server. blocks are those that may say it, innermost first.
func (n *nginx) towards(pass *directive, s *server, endsTLS bool, blocks ...[]*directive) {
	on := func(name string) *directive {
		x := scope(name, blocks...)
		if x == nil {
			return nil
		}
		n.take(x, "")
		if x.arg(0) == "off" {
			return nil
		}
		return x
	}
	header := configs.ProxyProtocol("")
	by := pass
	if x := on("proxy_protocol"); x != nil {
		header, by = configs.ProxyProtocolV1, x
		n.take(x, s.key("proxy_protocol"))
	}
	n.setHeader(by, s, header)
	if x := on("proxy_bind"); x != nil {
		if strings.Contains(x.value(), "transparent") || strings.Contains(x.value(), "$") {
			n.decide(x, s.key("source_addresses"), "Portico does not connect with clients' addresses: let the server "+
				"trust the PROXY protocol or ID instead (proxy_protocol, trusted_id)")
		} else {
			n.setSources(x, s, []string{strings.Trim(x.arg(0), "[]")})
		}
	}
	if x := on("proxy_ssl_name"); x != nil {
		n.setServerName(x, s, x.arg(0))
	}
	if x := on("proxy_ssl_trusted_certificate"); x != nil {
		if file, ok := n.filePath(x, s.key("ca"), x.arg(0)); ok {
			n.setText(x, s, "ca", &s.CA, file)
			n.take(x, s.key("ca"))
		}
	}
	ssl, verify := on("proxy_ssl"), scope("proxy_ssl_verify", blocks...)
	switch {
	case ssl == nil && endsTLS:
		n.open(pass, s, "nginx sends passwords and mail to this server without TLS")
	case ssl == nil:
		n.encrypt(pass, s, s.TLS)
		n.verified(pass, s)
	case verify == nil:
		n.encrypt(ssl, s, configs.TLSImplicit)
		n.verified(ssl, s)
	case verify.arg(0) == "off":
		n.encrypt(ssl, s, configs.TLSImplicit)
		n.unverified(verify, s)
	default:
		n.encrypt(ssl, s, configs.TLSImplicit)
		n.validated(verify, s)
		n.take(verify, "")
	}
}
