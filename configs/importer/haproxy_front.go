package importer

import (
	"path/filepath"
	"slices"
	"strings"

	"portico/configs"
)

// front takes over a frontend or listen section that carries IMAP, and the servers behind it.
func (h *haproxy) front(p haproxyProxy) {
	backend := h.backendOf(p)
	if !h.carriesIMAP(p.section, backend.section) {
		return
	}
	h.sources, h.listenPort = nil, onePort(p.section)
	h.options(p)
	var servers []*server
	if backend.section == nil {
		h.decide(p.section, "mailbox_servers", "no backend is certain: Portico does not choose servers by rules")
	} else {
		if backend.section != p.section {
			h.options(backend)
		}
		servers = h.servers(backend, h.endsTLS(p.section))
		for _, x := range h.sources {
			h.source(x, servers)
		}
	}
	for _, x := range p.section.block {
		if x.name() == "bind" {
			h.bind(x, servers)
		}
	}
	if len(servers) > 0 {
		h.places(backend.section, servers)
	}
}

// onePort returns the port of a section's listeners, or "" if they have several. A server without a port has the port
// that the client connected to.
func onePort(section *directive) (number string) {
	for _, x := range section.block {
		if x.name() != "bind" {
			continue
		}
		for _, address := range strings.Split(x.arg(0), ",") {
			if of := lastPort(address); number != "" && of != number {
				return ""
			} else {
				number = of
			}
		}
	}
	return number
}

// backendOf returns the section with the servers of a frontend. It is empty if rules choose it.
func (h *haproxy) backendOf(p haproxyProxy) haproxyProxy {
	name, by := p.section.arg(0), (*directive)(nil)
	if p.section.name() == "frontend" {
		name = ""
	}
	for _, section := range slices.Backward(append([]*directive{p.section}, p.defaults...)) {
		if x := find(section.block, "default_backend"); x != nil && name != p.section.arg(0) {
			name, by = x.arg(0), x
		}
	}
	imap := h.carriesIMAP(p.section, h.backends[name].section)
	for _, x := range p.section.block {
		if x.name() != "use_backend" || !imap {
			continue
		}
		if len(x.args()) == 1 {
			name, by = x.arg(0), x
			continue
		}
		h.decide(x, "databases", "HAProxy chooses this backend by a rule. Portico chooses servers by the user's name "+
			"(docs/directory.md)")
		if name == "" {
			name = x.arg(0)
		}
	}
	if by != nil && imap {
		h.take(by, "")
	}
	return h.backends[name]
}

// carriesIMAP says whether a listener, or a server behind it, has a port of IMAP, or a section says imap in its name.
func (h *haproxy) carriesIMAP(front, backend *directive) bool {
	sections := []*directive{front}
	if backend != nil {
		sections = append(sections, backend)
	}
	for _, section := range sections {
		if strings.Contains(strings.ToLower(section.arg(0)), "imap") {
			return true
		}
		for _, x := range section.block {
			text := ""
			switch x.name() {
			case "bind":
				text = x.arg(0)
			case "server":
				text = x.arg(1)
			}
			for _, address := range strings.Split(text, ",") {
				if address != "" && imapPort(lastPort(address)) {
					return true
				}
			}
		}
	}
	return false
}

func (h *haproxy) endsTLS(front *directive) bool {
	return slices.ContainsFunc(front.block, func(x *directive) bool {
		return x.name() == "bind" && slices.Contains(x.args(), "ssl")
	})
}

// bind takes over addresses to listen on, and their certificates.
func (h *haproxy) bind(x *directive, servers []*server) {
	l := configs.Listener{TLS: configs.TLSStartTLS}
	words := x.args()
	if len(words) == 0 {
		h.decide(x, "listeners", "no address")
		return
	}
	var unknown []string
	ssl, toTLS := slices.Contains(words, "ssl"), false
	for _, s := range servers {
		toTLS = toTLS || s.TLS == configs.TLSImplicit
	}
	for i := 1; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "ssl", "v4v6", "name":
			i += map[bool]int{true: 1}[words[i] == "name"]
		case "accept-proxy":
			l.ProxyProtocol = true
		case "crt":
			h.crt(x, next)
			i++
		case "crt-list":
			h.decide(x, "tls.certificates", "Portico reads no such list: name its certificates in tls.certificates")
			i++
		case "ssl-min-ver":
			h.oldest(x, next)
			i++
		case "no-sslv3", "no-tlsv10", "no-tlsv11", "no-tls-tickets", "transparent", "tfo", "defer-accept":
		case "verify", "ca-file":
			if next != "none" {
				h.decide(x, "tls", "HAProxy asks clients for a certificate. Portico can sign users in by certificate "+
					"instead (tls.client_ca, docs/signin.md)")
			}
			i++
		default:
			unknown = append(unknown, words[i])
		}
	}
	for _, address := range strings.Split(words[0], ",") {
		h.bindOne(x, l, address, ssl, toTLS)
	}
	if len(unknown) > 0 {
		h.remark(x, "listeners", "without %s: Portico's listeners have no such parameter", strings.Join(unknown, " "))
	}
}

// bindOne takes over one address. toTLS says that the servers behind take TLS from the first byte.
func (h *haproxy) bindOne(x *directive, l configs.Listener, address string, ssl, toTLS bool) {
	for _, prefix := range []string{"ipv4@", "ipv6@"} {
		address = strings.TrimPrefix(address, prefix)
	}
	colon := strings.LastIndexByte(address, ':')
	number := port(address[colon+1:])
	if colon < 0 || number == "" || strings.ContainsAny(address, "/@$") {
		h.decide(x, "listeners", "Portico listens on addresses of TCP with one port each")
		return
	}
	host := address[:colon]
	if host == "::" || slices.Contains(x.args(), "v4v6") {
		host = "::"
	}
	l.Address = listenAddress(host, number)
	if _, _, err := hostPort(l.Address, ""); err != nil {
		h.decide(x, "listeners", "%s", err)
		return
	}
	if ssl || number == "993" || number != "143" && toTLS {
		l.TLS = configs.TLSImplicit
	}
	key := h.listen(x, l)
	if key != "" && !ssl && l.TLS == configs.TLSStartTLS {
		h.remark(x, key, "HAProxy leaves it to the mailbox server whether passwords need TLS. With Portico they do "+
			"(settings.login_type)")
	}
}

// crt takes over a file with a certificate and its key, or a folder of such files.
func (h *haproxy) crt(x *directive, name string) {
	if base := find(h.global, "crt-base"); base != nil && !filepath.IsAbs(name) {
		name = filepath.Join(base.arg(0), name)
	}
	name, ok := h.filePath(x, "tls.certificates", name)
	if !ok {
		return
	}
	files, err := h.draft.source.glob(filepath.Join(name, "*"))
	if err != nil || len(files) == 0 {
		h.certificate(x, name, h.keyOf(name))
		return
	}
	for _, file := range files {
		switch filepath.Ext(file) {
		case ".key", ".ocsp", ".issuer", ".sctl", ".dsa", ".ecdsa":
		default:
			h.certificate(x, file, h.keyOf(file))
		}
	}
}

// keyOf returns the file that has the key of a certificate: the same, or one beside it.
func (h *haproxy) keyOf(cert string) string {
	if text, err := h.draft.source.load(cert); err != nil || strings.Contains(text, "PRIVATE KEY") {
		return cert
	}
	for _, name := range []string{cert + ".key", strings.TrimSuffix(cert, filepath.Ext(cert)) + ".key"} {
		if found, err := h.draft.source.glob(name); err == nil && len(found) > 0 {
			return name
		}
	}
	return cert
}
