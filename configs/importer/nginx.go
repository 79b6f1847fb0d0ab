package importer

import (
	"slices"
	"strings"

	"portico/configs"
)

// nginx reads a configuration of nginx: its mail module, and servers of its stream module that carry IMAP.
type nginx struct {
	*draft
	tree      []*directive
	upstreams map[string]*directive
	variables map[string]string // by set, or the default of a map
	header    *directive        // sends the PROXY protocol to mailbox servers
	http      string            // the URL of auth_http that is taken
	zones     map[string]string // what limit_conn_zone counts by
}

func readNginx(d *draft, tree []*directive) error {
	n := &nginx{draft: d, tree: tree, upstreams: map[string]*directive{}, variables: map[string]string{},
		zones: map[string]string{}}
	for _, x := range tree {
		switch x.name() {
		case "mail":
			d.take(x, "")
			n.mail(x)
		case "stream":
			d.take(x, "")
			n.stream(x.block)
		case "http":
			d.withoutBlock(x, "web servers are no business of an IMAP proxy: keep nginx for them")
		case "events":
			d.withoutBlock(x, "Portico's event loops need no such settings")
		}
	}
	n.explain(tree, nginxReasons)
	return nil
}

// explain records the directives of a block that have a reason for having no counterpart.
func (d *draft) explain(block []*directive, reasons map[string]string) {
	for _, x := range block {
		if why, ok := reasons[x.name()]; ok && !x.seen {
			d.withoutBlock(x, "%s", why)
		}
	}
}

// nginxReasons says why directives of nginx have no counterpart.
var nginxReasons = map[string]string{
	"user":                        "systemd starts Portico as its own user",
	"worker_processes":            "Portico is one process with an event loop for each CPU (loops)",
	"worker_rlimit_nofile":        "systemd sets it: LimitNOFILE in portico.service",
	"worker_cpu_affinity":         "Portico leaves CPUs to the kernel",
	"pid":                         "systemd knows the process",
	"daemon":                      "systemd knows the process",
	"load_module":                 "Portico has no modules",
	"error_log":                   "Portico's log goes to standard error (log)",
	"access_log":                  "Portico's log has a line for each sign-in, and portico log on logs commands",
	"log_format":                  "Portico's log has its own format (log.format)",
	"server_name":                 "Portico chooses certificates by the names in them",
	"imap_auth":                   "Portico offers the mechanisms that all mailbox servers offer",
	"imap_capabilities":           "Portico passes on what the mailbox server says",
	"imap_client_buffer":          "before sign-in a command may have settings.max_command_size, 10 KiB",
	"max_errors":                  "Portico ends a connection after 10 bad commands or 3 refused sign-ins",
	"proxy_buffer":                "Portico's buffers grow as needed; relay.server_buffer bounds the kernel's",
	"proxy_buffer_size":           "Portico's buffers grow as needed; relay.server_buffer bounds the kernel's",
	"proxy_pass_error_message":    "Portico passes on the response codes of RFC 5530, and texts of [ALERT] and [LIMIT]",
	"auth_http_pass_client_cert":  "Portico signs in by certificate itself (tls.client_ca)",
	"resolver":                    "Portico uses the system's resolver",
	"resolver_timeout":            "Portico uses the system's resolver",
	"pop3_auth":                   "Portico is a proxy for IMAP only",
	"pop3_capabilities":           "Portico is a proxy for IMAP only",
	"smtp_auth":                   "Portico is a proxy for IMAP only",
	"smtp_capabilities":           "Portico is a proxy for IMAP only",
	"smtp_client_buffer":          "Portico is a proxy for IMAP only",
	"smtp_greeting_delay":         "Portico is a proxy for IMAP only",
	"proxy_smtp_auth":             "Portico is a proxy for IMAP only",
	"xclient":                     "Portico is a proxy for IMAP only",
	"ssl_ciphers":                 "Portico's TLS library has safe ciphers only",
	"ssl_conf_command":            "Portico's TLS library has safe ciphers only",
	"ssl_prefer_server_ciphers":   "Portico's TLS library has safe ciphers only",
	"ssl_ecdh_curve":              "Portico's TLS library chooses the curve",
	"ssl_dhparam":                 "Portico's TLS library uses no such parameters",
	"ssl_session_cache":           "Portico resumes sessions by tickets",
	"ssl_session_timeout":         "Portico resumes sessions by tickets",
	"ssl_session_tickets":         "Portico resumes sessions by tickets",
	"ssl_session_ticket_key":      "Portico makes the keys of tickets",
	"ssl_handshake_timeout":       "timeouts.handshake is for clients and mailbox servers",
	"ssl_preread":                 "Portico ends TLS itself, and does not route by the name that clients ask for",
	"preread_buffer_size":         "Portico does not read ahead",
	"preread_timeout":             "Portico does not read ahead",
	"tcp_nodelay":                 "Portico's connections always have it",
	"proxy_socket_keepalive":      "keepalive_idle is for all connections",
	"proxy_next_upstream":         "interchangeable copies are tried in turn",
	"proxy_next_upstream_timeout": "interchangeable copies are tried in turn",
	"proxy_next_upstream_tries":   "interchangeable copies are tried in turn",
	"proxy_upload_rate": "Portico does not slow transfers down; settings.max_commands_per_second bounds " +
		"commands",
	"proxy_download_rate": "Portico does not slow transfers down; settings.max_commands_per_second bounds " +
		"commands",
	"proxy_ssl_session_reuse":   "Portico's TLS library decides it",
	"proxy_ssl_protocols":       "Portico needs TLS 1.2 or newer from mailbox servers",
	"proxy_ssl_ciphers":         "Portico's TLS library has safe ciphers only",
	"proxy_ssl_server_name":     "Portico always sends the name (server_name, or the host of the address)",
	"proxy_ssl_verify_depth":    "Portico's TLS library bounds the chain",
	"proxy_ssl_crl":             "Portico reads no lists of revoked certificates",
	"proxy_ssl_certificate":     "Portico shows mailbox servers no certificate",
	"proxy_ssl_certificate_key": "Portico shows mailbox servers no certificate",
	"limit_conn_log_level":      "Portico's log has levels of its own (log.level)",
	"limit_conn_dry_run":        "limits of Portico always apply",
}

// mail reads the block of the mail module: its servers, and then what is for all of them.
func (n *nginx) mail(mail *directive) {
	var servers []*directive
	for _, x := range mail.block {
		if x.name() != "server" {
			continue
		}
		if protocol := nginxProtocol(x.block, mail.block); protocol != "imap" {
			n.withoutBlock(x, "a server for %s: Portico is a proxy for IMAP only. Keep nginx for it", protocol)
			continue
		}
		n.take(x, "")
		servers = append(servers, x)
	}
	for _, server := range servers { // before the rest: a header for this server may stand anywhere
		if x := scope("auth_http", server.block, mail.block); x != nil {
			n.authHTTP(x)
		}
	}
	for _, x := range servers {
		n.mailServer(x, mail.block)
	}
	n.overruled(mail.block, servers)
	n.explain(mail.block, nginxReasons)
	n.mailboxServers(mail)
}

// inherited returns the directives that a block has from the one around it: those of names that it does not have
// itself.
func inherited(block, outer []*directive) (all []*directive) {
	for _, x := range outer {
		if !x.seen && find(block, x.name()) == nil {
			all = append(all, x)
		}
	}
	return all
}

// overruled records the directives of a block that each server in it has itself.
func (n *nginx) overruled(block, servers []*directive) {
	for _, x := range block {
		if !x.seen && len(servers) > 0 && !slices.ContainsFunc(servers, func(s *directive) bool {
			return find(s.block, x.name()) == nil
		}) {
			n.without(x, "each server for IMAP has its own")
		}
	}
}

// nginxProtocol returns the protocol of a mail server: what it says, or what its port says.
func nginxProtocol(server, mail []*directive) string {
	for _, block := range [][]*directive{server, mail} {
		if x := find(block, "protocol"); x != nil {
			return strings.ToLower(x.arg(0))
		}
	}
	if x := find(server, "listen"); x != nil {
		parts := strings.Split(x.arg(0), ":")
		switch port(parts[len(parts)-1]) {
		case "110", "995":
			return "pop3"
		case "25", "465", "587":
			return "smtp"
		}
	}
	return "imap"
}

func (n *nginx) mailServer(server *directive, mail []*directive) {
	n.mailDirectives(server.block)
	n.mailDirectives(inherited(server.block, mail))
	mode, cleartext, by := configs.TLSNone, true, (*directive)(nil)
	for _, block := range [][]*directive{mail, server.block} {
		if x := find(block, "starttls"); x != nil {
			mode, cleartext = n.starttls(x)
			by = x
		}
		if x := find(block, "ssl"); x != nil && x.arg(0) == "on" {
			n.take(x, "")
			mode, cleartext = configs.TLSImplicit, false
		}
	}
	for _, x := range server.block {
		if x.name() == "listen" {
			key := n.listenDirective(x, mode)
			if by == nil || mode == configs.TLSNone {
				by = x
			}
			if cleartext && key != "" {
				n.allow(by, key, "nginx accepts passwords without TLS")
			}
		}
	}
	n.explain(server.block, nginxReasons)
}

// starttls returns how a listener without "ssl" gets TLS, and whether passwords need none.
func (n *nginx) starttls(x *directive) (mode configs.TLSMode, cleartext bool) {
	n.take(x, "")
	switch x.arg(0) {
	case "only":
		return configs.TLSStartTLS, false
	case "on":
		return configs.TLSStartTLS, true
	}
	return configs.TLSNone, true
}

// listenDirective reads an address and its parameters, and returns the listener's key. mode is how a listener without
// ssl gets TLS.
func (n *nginx) listenDirective(x *directive, mode configs.TLSMode) (key string) {
	text := x.arg(0)
	if port(text) != "" {
		text = "*:" + text
	}
	text = strings.Replace(text, "*:", "0.0.0.0:", 1)
	host, number, err := hostPort(text, "143")
	if strings.HasPrefix(text, "unix:") || err != nil {
		n.decide(x, "listeners", "Portico listens on addresses of TCP only")
		return ""
	}
	l := configs.Listener{Address: listenAddress(host, number), TLS: mode}
	var unknown []string
	for _, word := range x.args()[1:] {
		switch name, _, _ := strings.Cut(word, "="); name {
		case "ssl":
			l.TLS = configs.TLSImplicit
		case "proxy_protocol":
			l.ProxyProtocol = true
		case "udp":
			n.without(x, "IMAP has no UDP")
			return ""
		default:
			unknown = append(unknown, word)
		}
	}
	key = n.listen(x, l)
	if len(unknown) > 0 {
		n.remark(x, key, "without %s: Portico's listeners have no such parameter", strings.Join(unknown, ", "))
	}
	return key
}
