package importer

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"portico/configs"
)

// mailDirectives takes over the directives of a block, but not its servers.
func (n *nginx) mailDirectives(block []*directive) {
	for _, x := range block {
		if x.name() != "server" {
			n.mailDirective(x)
		}
	}
	n.certificates(block)
}

// mailDirective takes over a directive of the mail module that Portico has one value for.
func (n *nginx) mailDirective(x *directive) {
	c := n.config
	switch x.name() {
	case "protocol":
		n.take(x, "")
	case "proxy": // of old versions
		if n.take(x, ""); x.arg(0) == "off" {
			n.decide(x, "listeners", "nginx passes nobody on, and Portico would")
		}
	case "auth_http": // taken before all others
	case "auth_http_timeout":
		n.nginxTime(x, "directory.timeout", &c.Directory.Timeout)
	case "auth_http_header":
		n.authHeader(x)
	case "proxy_timeout":
		n.nginxTime(x, "settings.authenticated_connection_timeout", &c.Settings.AuthenticatedConnectionTimeout)
	case "timeout":
		n.nginxTime(x, "settings.pre_authenticated_connection_timeout", &c.Settings.PreAuthenticatedConnectionTimeout)
	case "proxy_protocol":
		if n.take(x, ""); x.arg(0) == "on" {
			n.header = x
		}
	default:
		n.common(x)
	}
}

// common takes over a directive that the mail and the stream module have.
func (n *nginx) common(x *directive) {
	switch x.name() {
	case "ssl_certificate", "ssl_certificate_key":
		// together, in certificates
	case "ssl_protocols":
		n.protocols(x)
	case "ssl_verify_client":
		if x.arg(0) == "off" {
			n.take(x, "")
			return
		}
		n.decide(x, "tls", "nginx asks clients for a certificate. Portico can sign users in by certificate instead "+
			"(tls.client_ca, docs/signin.md)")
	case "ssl_client_certificate", "ssl_trusted_certificate":
		n.decide(x, "tls", "the CA of clients' certificates: with signin.mode master it can be tls.client_ca "+
			"(docs/signin.md)")
	case "ssl_password_file":
		n.decide(x, "tls", "Portico reads keys without a pass phrase: store the key without one")
	case "set_real_ip_from":
		n.trustHeader(x, x.args())
	}
}

func (n *nginx) nginxTime(x *directive, key string, field *time.Duration) {
	value, err := duration(x.arg(0), time.Second)
	n.setDuration(x, key, field, value, err)
}

// protocols takes over the oldest version of TLS.
func (n *nginx) protocols(x *directive) {
	oldest := configs.TLS13
	for _, version := range x.args() {
		if version != "TLSv1.3" {
			oldest = configs.TLS12
		}
	}
	set(n.draft, x, "tls.min_version", &n.config.TLS.MinVersion, oldest)
	for _, version := range x.args() {
		if version != "TLSv1.2" && version != "TLSv1.3" {
			n.remark(x, "tls.min_version", "without %s: it is broken, and Portico does not have it", version)
		}
	}
}

// certificates pairs the certificates of a block with their keys, in order.
func (n *nginx) certificates(block []*directive) {
	var keys []*directive
	for _, x := range block {
		if x.name() == "ssl_certificate_key" {
			keys = append(keys, x)
		}
	}
	for _, x := range block {
		if x.name() != "ssl_certificate" {
			continue
		}
		if len(keys) == 0 || x.seen {
			continue
		}
		key := keys[0]
		keys = keys[1:]
		if !isFile(x.arg(0)) || !isFile(key.arg(0)) {
			n.decide(x, "tls.certificates", "Portico reads certificates and keys from files")
			n.decide(key, "tls.certificates", "Portico reads certificates and keys from files")
			continue
		}
		cert, ok := n.filePath(x, "tls.certificates", x.arg(0))
		file, alsoOK := n.filePath(key, "tls.certificates", key.arg(0))
		if ok && alsoOK {
			n.certificate(x, cert, file)
			n.take(key, "")
		}
	}
}

// isFile says whether the value of a certificate or key is the name of a file, which nginx has no more to say about.
func isFile(value string) bool {
	for _, kind := range []string{"data:", "engine:", "store:"} {
		if strings.HasPrefix(value, kind) {
			return false
		}
	}
	return true
}

// authHTTP makes nginx's authentication server a source of the directory.
func (n *nginx) authHTTP(x *directive) {
	text := x.arg(0)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || variable.MatchString(text) ||
		strings.HasPrefix(x.arg(0), "unix:"):
		n.decide(x, "directory", "Portico asks web servers by http or https, at an address without variables")
	case n.http == "":
		n.http = text
		n.authServer(x, u)
	case n.http == text:
		n.take(x, "")
	default:
		n.decide(x, "directory", "Portico has one directory for all listeners, and this server is another one")
	}
}

// authServer makes a server that verifies passwords a source of the directory. What may be a secret in its URL is left
// out.
func (n *nginx) authServer(x *directive, u *url.URL) {
	const key = "directory.sources[0]"
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	n.config.Directory.Sources = []configs.DirectorySource{{HTTP: configs.HTTPDirectory{URLs: []string{plain.String()},
		SendPassword: true}}}
	n.remark(x, key, "this server verifies passwords, as with nginx. Each Auth-Server and Auth-Port that it answers "+
		"must be the address of one of mailbox_servers. Portico ignores Auth-Pass and Auth-Wait")
	if u.User != nil {
		n.decide(x, key, "without the name and password in the URL: a web server can know Portico by secret_header "+
			"and secret_file")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		n.decide(x, key, "without the query of the URL, which may be a secret. If it is none, write it into urls; if "+
			"it is one, let the web server know Portico by secret_header and secret_file")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		n.decide(x, key, "passwords travel to this server without TLS, so anybody on the network path reads them. Use "+
			"https, or a server on this machine")
	}
}

// headerName is a name of a header of HTTP.
var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)

// authHeader takes over the header by which the authentication server knows nginx. Its value goes into a file.
func (n *nginx) authHeader(x *directive) {
	sources := n.config.Directory.Sources
	switch {
	case len(sources) == 0 || sources[0].HTTP.SecretHeader != "" && sources[0].HTTP.SecretHeader != x.arg(0):
		n.decide(x, "directory", "Portico sends one header of its own, and this is another")
	case !headerName.MatchString(x.arg(0)) || len(x.arg(1)) < 16 || variable.MatchString(x.arg(1)) ||
		strings.ContainsFunc(x.arg(1), func(r rune) bool { return r <= ' ' || r > '~' }):
		n.decide(x, "directory.sources[0].http", "the value must be one word of at least 16 characters, and this one "+
			"is not. Choose another, in secret_file, and give secret_header")
	default:
		sources[0].HTTP.SecretHeader = x.arg(0)
		sources[0].HTTP.SecretFile = n.file(x, "auth-http.secret", x.arg(1)+"\n", true)
		n.take(x, "")
	}
}

// mailboxServers completes the servers that the command line names: nginx's mail module has none, and no TLS to them.
func (n *nginx) mailboxServers(mail *directive) {
	if len(n.order) == 0 {
		n.server(mail, "mbx1", placeholder, "143", configs.TLSStartTLS).offered = true
		n.decide(mail, "mailbox_servers", "only the server of auth_http knows the mailbox servers, and mbx1.invalid "+
			"stands for them. List each address that it can answer here, or give --server ADDRESS for each")
	}
	for _, address := range n.order {
		s := n.hosts[address]
		if n.header != nil {
			n.setHeader(n.header, s, configs.ProxyProtocolV1)
			n.take(n.header, s.key("proxy_protocol"))
		}
	}
	n.opposed(mail, "nginx")
}
