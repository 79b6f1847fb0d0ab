package importer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"portico/configs"
)

// servers takes over the servers of a backend. default-server lines say what all of them have.
func (h *haproxy) servers(backend haproxyProxy, endsTLS bool) (servers []*server) {
	var common []string
	for _, section := range slices.Backward(append([]*directive{backend.section}, backend.defaults...)) {
		for _, x := range section.block {
			if x.name() != "default-server" {
				continue
			}
			common = append(common, x.args()...)
			var link haproxyLink
			if link.read(x.args(), true); len(link.unknown) > 0 {
				h.remark(x, "mailbox_servers", "without %s: Portico has no such parameter",
					strings.Join(link.unknown, " "))
			}
			h.take(x, "")
		}
	}
	for _, x := range backend.section.block {
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
	host, number, err := hostPort(address, h.listenPort)
	if err != nil || strings.ContainsAny(address, "/@$") {
		h.decide(x, "mailbox_servers", "no address of a mailbox server that Portico can use: it needs a host and a "+
			"port")
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
	h.connect(x, s, link, tls)
	return s
}

// haproxyFlags are the words without a value. A word in front of which stands "no-" undoes the word; enabled undoes
// disabled.
var haproxyFlags = map[string]func(l *haproxyLink, on bool){
	"ssl":                  func(l *haproxyLink, on bool) { l.ssl = on },
	"backup":               func(l *haproxyLink, on bool) { l.backup = on },
	"disabled":             func(l *haproxyLink, on bool) { l.disabled = on },
	"enabled":              func(l *haproxyLink, on bool) { l.disabled = !on },
	"send-proxy":           func(l *haproxyLink, on bool) { l.send(configs.ProxyProtocolV1, on) },
	"send-proxy-v2":        func(l *haproxyLink, on bool) { l.send(configs.ProxyProtocolV2, on) },
	"send-proxy-v2-ssl":    func(l *haproxyLink, on bool) { l.send(configs.ProxyProtocolV2, on) },
	"send-proxy-v2-ssl-cn": func(l *haproxyLink, on bool) { l.send(configs.ProxyProtocolV2, on) },
	"verifyhost":           func(l *haproxyLink, on bool) { l.name = "" }, // only as no-verifyhost
	"check":                func(*haproxyLink, bool) {},                   // probes of Portico take its place
	"check-send-proxy":     func(*haproxyLink, bool) {},
	"check-ssl":            func(*haproxyLink, bool) {},
	"agent-check":          func(*haproxyLink, bool) {},
	"ssl-reuse":            func(*haproxyLink, bool) {},
	"tls-tickets":          func(*haproxyLink, bool) {},
	"sslv3":                func(*haproxyLink, bool) {},
	"tlsv10":               func(*haproxyLink, bool) {},
	"tlsv11":               func(*haproxyLink, bool) {},
}

func (l *haproxyLink) send(header configs.ProxyProtocol, on bool) {
	switch {
	case on:
		l.header = header
	case l.header == header:
		l.header = ""
	}
}

// read reads words of a server line. Those of default-server that Portico does not know are said once, at that line.
func (l *haproxyLink) read(words []string, own bool) {
	for i := 0; i < len(words); i++ {
		plain, off := strings.CutPrefix(words[i], "no-")
		if set := haproxyFlags[plain]; set != nil && (off || plain != "verifyhost") {
			set(l, !off)
			continue
		}
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		if l.value(words[i], next) {
			i++
		} else if own {
			l.unknown = append(l.unknown, words[i])
		}
	}
}

// value reads a word with a value. It returns false if it does not know the word.
func (l *haproxyLink) value(word, next string) bool {
	switch word {
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
	case "source":
		l.source = next
	case "weight":
		if next == "0" {
			l.undecided = append(l.undecided, "weight 0, with which a server gets no new connections,")
			return true
		}
		return false
	case "inter", "fastinter", "downinter", "rise", "fall", "port", "addr", "check-sni", "check-proto":
		// probes of Portico take their place
	default:
		return false
	}
	return true
}

// connect takes over how HAProxy connects to a server.
func (h *haproxy) connect(x *directive, s *server, link haproxyLink, tls configs.TLSMode) {
	h.setHeader(x, s, link.header)
	if link.source != "" {
		source := strings.Trim(strings.TrimSuffix(link.source, ":0"), "[]")
		if _, err := netip.ParseAddr(source); err == nil {
			h.setSources(x, s, []string{source})
		} else {
			link.undecided = append(link.undecided, "source "+link.source)
		}
	}
	if link.ca != "" && link.ca != "@system-ca" {
		if base := find(h.global, "ca-base"); base != nil && link.ca[0] != '/' {
			link.ca = base.arg(0) + "/" + link.ca
		}
		if file, ok := h.filePath(x, s.key("ca"), link.ca); ok {
			h.setText(x, s, "ca", &s.CA, file)
		}
	}
	if link.name != "" {
		h.setServerName(x, s, link.name)
	}
	global := find(h.global, "ssl-server-verify")
	switch {
	case tls == configs.TLSNone:
		h.open(x, s, "HAProxy sends passwords and mail to this server without TLS")
	case !link.ssl:
		h.encrypt(x, s, tls)
		h.verified(x, s)
	case link.noVerify || link.ca == "" && global != nil && global.arg(0) == "none":
		h.encrypt(x, s, tls)
		h.unverified(x, s)
	default:
		h.encrypt(x, s, tls)
		h.validated(x, s)
	}
	if len(link.unknown) > 0 {
		h.remark(x, s.key(""), "without %s: Portico spreads users evenly, and its circuit breaker and probes find "+
			"servers that fail", strings.Join(link.unknown, " "))
	}
	for _, what := range link.undecided {
		h.decide(x, s.key(""), "%s", fmt.Sprintf("%.60s has no counterpart", what))
	}
}
