package importer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"portico/configs"
)

// servers takes over the servers of a backend. default-server lines say what all of them have.
func (h *haproxy) servers(backend *directive, defaults []*directive, endsTLS bool) (servers []*server) {
	var common []string
	for _, block := range [][]*directive{defaults, backend.block} {
		for _, x := range block {
			if x.name() == "default-server" {
				common = append(common, x.args()...)
				var link haproxyLink
				if link.read(x.args(), true); len(link.unknown) > 0 {
					h.remark(x, "mailbox_servers", "without %s: Portico has no such parameter",
						strings.Join(link.unknown, " "))
				}
				h.take(x, "")
			}
		}
	}
	for _, x := range backend.block {
		switch x.name() {
		case "server":
			if s := h.serverLine(x, x.arg(0), common, endsTLS); s != nil {
				servers = append(servers, s)
			}
		case "server-template":
			servers = append(servers, h.template(x, common, endsTLS)...)
		}
	}
	return servers
}

// template takes over several servers of one line: server-template PREFIX NUMBER|RANGE ADDRESS.
func (h *haproxy) template(x *directive, common []string, endsTLS bool) (servers []*server) {
	if len(x.words) < 4 {
		h.decide(x, "mailbox_servers", "no address of a mailbox server")
		return nil
	}
	line := *x
	line.words = append([]string{"server", x.arg(0)}, x.args()[2:]...)
	if s := h.serverLine(&line, x.arg(0), common, endsTLS); s != nil {
		servers = append(servers, s)
		h.decide(x, s.key(""), "HAProxy makes servers from the addresses of a name. Portico needs each server by "+
			"itself: give one entry for each, with its address")
	}
	x.seen = true
	return servers
}

// haproxyLink is what the words of a server line say.
type haproxyLink struct {
	ssl, noVerify, backup, disabled bool
	ca, name, source                string
	header                          configs.ProxyProtocol
	unknown                         []string
	undecided                       []string
}

// serverLine takes over one server, or returns nil if its address cannot be used.
func (h *haproxy) serverLine(x *directive, name string, common []string, endsTLS bool) *server {
	address := x.arg(1)
	for _, prefix := range []string{"ipv4@", "ipv6@"} {
		address = strings.TrimPrefix(address, prefix)
	}
	host, number, err := hostPort(address, "143")
	if err != nil || strings.ContainsAny(address, "/@$") {
		h.decide(x, "mailbox_servers", "no address of a mailbox server")
		return nil
	}
	var own []string
	if len(x.args()) > 2 {
		own = x.args()[2:]
	}
	var link haproxyLink
	link.read(common, false)
	link.read(own, true)
	if link.disabled {
		h.without(x, "the server is disabled")
		return nil
	}
	tls := configs.TLSStartTLS
	switch {
	case link.ssl || number == "993":
		tls = configs.TLSImplicit
	case endsTLS:
		tls = configs.TLSNone
	}
	s := h.server(x, name, host, number, tls)
	s.backup = link.backup
	h.connect(x, s, link, endsTLS)
	return s
}

// read reads words of a server line. Those of default-server that Portico does not know are said once, at that line.
func (l *haproxyLink) read(words []string, own bool) {
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		skip := 1
		switch words[i] {
		case "ssl":
			l.ssl, skip = true, 0
		case "no-ssl":
			l.ssl, skip = false, 0
		case "verify":
			l.noVerify = next == "none"
		case "ca-file":
			l.ca = next
		case "verifyhost":
			l.name = next
		case "sni":
			if name, ok := strings.CutPrefix(next, "str("); ok {
				l.name = strings.TrimSuffix(name, ")")
			} else {
				l.undecided = append(l.undecided, "sni "+next)
			}
		case "send-proxy":
			l.header, skip = configs.ProxyProtocolV1, 0
		case "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn":
			l.header, skip = configs.ProxyProtocolV2, 0
		case "backup":
			l.backup, skip = true, 0
		case "disabled":
			l.disabled, skip = true, 0
		case "source":
			l.source = next
		case "check", "check-send-proxy", "check-ssl", "enabled", "no-check":
			skip = 0
		case "inter", "fastinter", "downinter", "rise", "fall", "port", "addr", "check-sni", "check-proto":
			// probes of Portico take their place
		default:
			if skip = 0; own {
				l.unknown = append(l.unknown, words[i])
			}
		}
		i += skip
	}
}

// connect takes over how HAProxy connects to a server.
func (h *haproxy) connect(x *directive, s *server, link haproxyLink, endsTLS bool) {
	if link.header != "" {
		s.ProxyProtocol = link.header
	}
	if link.source != "" {
		source := strings.Trim(strings.TrimSuffix(link.source, ":0"), "[]")
		if _, err := netip.ParseAddr(source); err == nil {
			s.SourceAddresses = []string{source}
		} else {
			link.undecided = append(link.undecided, "source "+link.source)
		}
	}
	if link.ca != "" && link.ca != "@system-ca" {
		if base := find(h.global, "ca-base"); base != nil && link.ca[0] != '/' {
			link.ca = base.arg(0) + "/" + link.ca
		}
		s.CA = absolute(h.draft.source.base, link.ca)
	}
	s.ServerName = link.name
	global := find(h.global, "ssl-server-verify")
	switch {
	case link.ssl && (link.noVerify || link.ca == "" && global != nil && global.arg(0) == "none"):
		h.unverified(x, s)
	case !link.ssl && endsTLS && s.TLS == configs.TLSNone:
		h.open(x, s, "HAProxy sends passwords and mail to this server without TLS")
	case !link.ssl:
		h.verified(x, s)
	}
	if slices.Contains(x.words, "check") {
		link.unknown = slices.DeleteFunc(link.unknown, func(w string) bool { return w == "check" })
	}
	if len(link.unknown) > 0 {
		h.remark(x, s.key(""), "without %s: Portico spreads users evenly, and its circuit breaker and probes find "+
			"servers that fail", strings.Join(link.unknown, " "))
	}
	for _, what := range link.undecided {
		h.decide(x, s.key(""), "%s", fmt.Sprintf("%.60s has no counterpart", what))
	}
}
