package importer

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portico/configs"
)

// perdition reads perdition.conf, and the map that says which user is on which server.
type perdition struct {
	*draft
	options map[string]*directive
	port    string                  // of mailbox servers without one
	tls     configs.TLSMode         // towards mailbox servers
	mapFile string                  // the map of users, as places show it
	users   userMap                 // its names
	rules   []configs.DirectoryRule // its regular expressions
}

func readPerdition(d *draft, tree []*directive) error {
	p := &perdition{draft: d, options: map[string]*directive{}}
	d.overridden(tree)
	for _, x := range tree {
		p.options[x.name()] = x
	}
	protocol := p.text("protocol", "POP3")
	if !strings.HasPrefix(strings.ToUpper(protocol), "IMAP4") {
		return fmt.Errorf("protocol is %s: Portico is a proxy for IMAP only. perdition's default is POP3: if this "+
			"perdition runs as perdition.imap4 or perdition.imap4s, add a line with the protocol to a copy of the file",
			comment(protocol))
	}
	p.port = map[bool]string{true: "993", false: "143"}[strings.EqualFold(protocol, "IMAP4S")]
	p.sides(p.port)
	p.settings()
	p.names()
	if err := p.userMap(); err != nil {
		return err
	}
	p.servers()
	p.certificatesOf()
	p.explain(tree, perditionReasons)
	return nil
}

// text returns the value of an option and marks it as taken. An option without a value has its default.
func (p *perdition) text(name, byDefault string) string {
	x := p.options[name]
	if x == nil {
		return byDefault
	}
	p.take(x, "")
	if x.arg(0) == "" {
		return byDefault
	}
	return x.arg(0)
}

// sides takes over TLS and the addresses of both sides.
func (p *perdition) sides(listenPort string) {
	byDefault := map[bool]string{true: "ssl_all"}[listenPort == "993"] // of IMAP4S
	modes := strings.Split(strings.ReplaceAll(p.text("ssl_mode", byDefault), " ", ""), ",")
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(modes, name) })
	}
	l := configs.Listener{TLS: configs.TLSNone}
	switch {
	case has("ssl_listen", "ssl_all"):
		l.TLS = configs.TLSImplicit
	case has("tls_listen", "tls_all", "tls_listen_force", "tls_all_force"):
		l.TLS = configs.TLSStartTLS
	}
	p.tls = configs.TLSNone
	switch {
	case has("ssl_outgoing", "ssl_all"):
		p.tls = configs.TLSImplicit
	case has("tls_outgoing", "tls_all", "tls_outgoing_force", "tls_all_force"):
		p.tls = configs.TLSStartTLS
	}
	p.port = p.text("outgoing_port", listenPort)
	p.listeners(l, listenPort, l.TLS == configs.TLSNone || !has("ssl_listen", "ssl_all", "tls_listen_force",
		"tls_all_force"))
	if l.TLS != configs.TLSNone {
		cert, key := p.text("ssl_cert_file", "/etc/perdition/perdition.crt.pem"),
			p.text("ssl_key_file", "/etc/perdition/perdition.key.pem")
		p.certificatePair(cert, key)
	}
}

// listeners takes over the addresses. cleartext says that passwords need no TLS there.
func (p *perdition) listeners(l configs.Listener, byDefault string, cleartext bool) {
	number := port(p.text("listen_port", byDefault))
	at := p.options["bind_address"]
	if number == "" {
		p.decide(p.options["listen_port"], "listeners", "no port")
		number = byDefault
	}
	addresses := []string{"*:" + number}
	if at != nil {
		addresses = strings.Split(at.value(), ",")
	}
	for _, address := range addresses {
		host, of, err := hostPort(strings.Replace(strings.TrimSpace(address), "*:", "0.0.0.0:", 1), number)
		if err != nil {
			p.decide(at, "listeners", "%s", err)
			continue
		}
		l.Address = listenAddress(host, of)
		by, key := at, "listeners[0]"
		if at != nil {
			key = p.listen(at, l)
		} else {
			by = p.options["protocol"]
			p.config.Listeners = append(p.config.Listeners, l)
		}
		if mode := p.options["ssl_mode"]; mode != nil {
			by = mode
		}
		if cleartext && key != "" {
			p.allow(by, key, "perdition accepts passwords without TLS")
		}
	}
}

// certificatePair takes over the certificate. Its files may be perdition's own defaults, which no option names.
func (p *perdition) certificatePair(cert, key string) {
	at := &directive{words: []string{"ssl_cert_file"}}
	for _, name := range []string{"ssl_key_file", "ssl_cert_file"} {
		if x := p.options[name]; x != nil {
			at = x
		}
	}
	cert, ok := p.filePath(at, "tls.certificates", cert)
	key, alsoOK := p.filePath(at, "tls.certificates", key)
	if ok && alsoOK {
		p.config.TLS.Certificates = []configs.Certificate{{Cert: cert, Key: key}}
	}
}

// path returns a file's name as it is from the folder of perdition.conf.
func (p *perdition) path(name string) string { return absolute(p.source.base, name) }

// settings takes over limits and time-outs.
func (p *perdition) settings() {
	c := p.config
	if x := p.options["connection_limit"]; x != nil {
		p.setNumber(x, "settings.max_connections", &c.Settings.MaxConnections, x.arg(0))
	}
	if x := p.options["timeout"]; x != nil {
		value, err := duration(x.arg(0), time.Second)
		p.setDuration(x, "settings.authenticated_connection_timeout", &c.Settings.AuthenticatedConnectionTimeout, value,
			err)
	}
	if x := p.options["authenticate_timeout"]; x != nil {
		value, err := duration(x.arg(0), time.Second)
		p.setDuration(x, "settings.pre_authenticated_connection_timeout",
			&c.Settings.PreAuthenticatedConnectionTimeout, value, err)
	}
	if x := p.options["ssl_listen_min_proto_version"]; x != nil {
		set(p.draft, x, "tls.min_version", &c.TLS.MinVersion, configs.TLS12)
		if x.arg(0) != "tlsv1.2" {
			p.remark(x, "tls.min_version", "Portico has no TLS before 1.2")
		}
	}
	if x := p.options["login_disabled"]; x != nil {
		p.decide(x, "settings.login_type", "perdition lets nobody sign in. Portico would: start it when you want that")
	}
	if x := p.options["authenticate_in"]; x != nil {
		p.decide(x, "signin", "perdition verifies passwords itself (PAM). Portico can do that in mode master with "+
			"directory.verify, but not by PAM; in mode passthrough the mailbox servers verify them (docs/signin.md)")
	}
}

// names takes over what perdition does to user names.
func (p *perdition) names() {
	if x := p.options["explicit_domain"]; x != nil && !configs.IsHost(x.arg(0)) {
		p.decide(x, "default_domain", "no name of a domain")
	} else if x != nil && p.options["add_domain"] != nil {
		set(p.draft, x, "default_domain", &p.config.DefaultDomain, x.arg(0))
		p.take(p.options["add_domain"], "")
	} else if x := p.options["add_domain"]; x != nil {
		p.decide(x, "default_domain", "perdition takes the domain from the address that the client connects to. "+
			"Portico has one domain for names without any")
	}
	if x := p.options["strip_domain"]; x != nil {
		p.decide(x, "directory", "Portico's names keep their domain. To remove it, add a rule in front of the other "+
			"sources: {regexp: \"(.*)@.*\", user: \"$1\"}. Two users of the same name in two domains then are one")
	}
	if x := p.options["lower_case"]; x != nil {
		p.remark(x, "directory", "Portico's names are always in lower case")
	}
	if x := p.options["client_server_specification"]; x != nil {
		p.decide(x, "directory", "users may name their server (user@server). Portico does not let them: name the "+
			"servers in mailbox_servers, and add rules")
	}
	if x := p.options["query_key"]; x != nil && x.arg(0) != `\U` {
		p.decide(x, "directory", "Portico looks up the whole name, then @ and the domain, then *")
	}
	if p.text("domain_delimiter", "@") != "@" {
		p.decide(p.options["domain_delimiter"], "directory", "in Portico only @ begins a domain")
	}
}

// servers takes over the servers of users who are not in the map, and puts all into databases.
func (p *perdition) servers() {
	x := p.options["outgoing_server"]
	var others []*server
	if x != nil {
		for _, text := range strings.Split(x.value(), ",") {
			if s, err := p.mailboxServer(x, strings.TrimSpace(text)); err != nil {
				p.decide(x, "mailbox_servers", "%s", err)
			} else {
				others = append(others, s)
			}
		}
	}
	p.writeEntries()
	sources := &p.config.Directory.Sources
	switch {
	case len(others) == 0:
		return
	case len(*sources) == 0:
		p.places(x, others)
		return
	}
	var copies []string
	for _, s := range others {
		copies = append(copies, s.name)
	}
	rest := configs.DirectoryRule{Match: "*", Database: p.database(copies, true)}
	*sources = append(*sources, configs.DirectorySource{Rules: []configs.DirectoryRule{rest}})
	key := fmt.Sprintf("directory.sources[%d]", len(*sources)-1)
	p.take(x, key)
	if len(others) > 1 {
		p.remark(x, key, "users who are not in the map go to the first of these servers, and to the next if it fails: "+
			"all must have the same mail")
	}
}

// mailboxServer takes over a server of the form host[:port].
func (p *perdition) mailboxServer(x *directive, text string) (*server, error) {
	host, number, err := hostPort(text, p.port)
	if err != nil {
		return nil, err
	}
	if strings.Contains(host, "$") {
		return nil, errors.New("the server depends on the user's name")
	}
	s := p.server(x, "", host, number, p.tls)
	if s.TLS == configs.TLSNone {
		p.open(x, s, "perdition sends passwords and mail to this server without TLS")
	}
	return s, nil
}

// certificatesOf takes over how perdition verifies the mailbox servers.
func (p *perdition) certificatesOf() {
	if mode := p.options["ssl_mode"]; p.tls == configs.TLSNone && mode != nil {
		p.opposed(mode, "perdition")
	}
	for _, address := range p.order {
		if s := p.hosts[address]; s.TLS != configs.TLSNone {
			p.certificateOf(s)
		}
	}
}

func (p *perdition) certificateOf(s *server) {
	for _, name := range []string{"ssl_ca_chain_file", "ssl_ca_file"} { // the last one counts
		if ca := p.options[name]; ca != nil {
			if file, ok := p.filePath(ca, s.key("ca"), ca.arg(0)); ok {
				s.CA = file
				p.take(ca, s.key("ca"))
			}
		}
	}
	for _, name := range []string{"ssl_no_cert_verify", "ssl_ca_accept_self_signed", "ssl_cert_accept_self_signed",
		"ssl_cert_accept_expired", "ssl_cert_accept_not_yet_valid", "ssl_no_cn_verify"} {
		if weak := p.options[name]; weak != nil && !strings.EqualFold(weak.arg(0), "false") && len(s.loose) == 0 {
			p.weak(weak, s)
		}
	}
}

// weak is for an option that makes perdition accept certificates that are not right.
func (p *perdition) weak(x *directive, s *server) {
	if x.name() == "ssl_no_cert_verify" {
		p.unverified(x, s)
		return
	}
	p.decide(x, s.key("tls"), "perdition accepts certificates that Portico refuses. Give ca, or server_name")
}

// isMapLibrary says whether the map's library is one of the names.
func (p *perdition) isMapLibrary(library string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.Contains(filepath.Base(library), "perditiondb_"+name)
	})
}
