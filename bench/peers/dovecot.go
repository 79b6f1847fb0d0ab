//go:build unix

package peers

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"text/template"
)

// dovecotProxy is a login proxy in the terms of the templates: one for each version's syntax.
type dovecotProxy struct {
	Dir, Owner         string // Owner runs all processes; empty for root, who leaves the choice to Dovecot
	PlainPort, TLSPort string
	Cert, Key          string
	SinkHost, SinkPort string
	ServerTLS          bool
	Workers            int    // login processes
	Groups             string // for the key exchange, as OpenSSL lists them
}

// startDovecot starts Dovecot as a login proxy.
func startDovecot(s *site, serverTLS bool) (*Peer, error) {
	version := s.system.says("dovecot", "--version")
	release := version[:min(len("2.3"), len(version))]
	if dovecotProxies.Lookup(release) == nil {
		return nil, fmt.Errorf("want dovecot 2.3 or 2.4; it says %q", version)
	}
	addrs, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dv") // short: paths of its sockets are bounded
	if err != nil {
		return nil, err
	}
	s.atEnd = append(s.atEnd, func() { os.RemoveAll(dir) })
	proxy := dovecotProxy{Dir: dir, Cert: s.cert, Key: s.key, ServerTLS: serverTLS, Workers: s.workers,
		Groups: s.system.groups()}
	_, proxy.PlainPort, _ = net.SplitHostPort(addrs[0])
	_, proxy.TLSPort, _ = net.SplitHostPort(addrs[1])
	sink := s.sink
	if serverTLS {
		sink = s.sinkTLS
	}
	proxy.SinkHost, proxy.SinkPort, _ = net.SplitHostPort(sink)
	if os.Geteuid() != 0 {
		me, err := user.Current()
		if err != nil {
			return nil, err
		}
		proxy.Owner = me.Username
	}
	var text strings.Builder
	if err := dovecotProxies.ExecuteTemplate(&text, release, proxy); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(config, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	p := &Peer{site: s, Name: "dovecot", Plain: addrs[0], TLS: addrs[1], Version: version}
	return p, p.launch(s, s.system.command("dovecot", "-F", "-c", config))
}

// dovecotProxies holds a template for each version, and what both say the same way. The version of a file's syntax
// comes first in it.
var dovecotProxies = template.Must(template.New("").Parse(`
{{- define "2.3"}}{{template "common" .}}
service imap-login {
  service_count = 0
}
ssl_cert = <{{.Cert}}
ssl_key = <{{.Key}}
disable_plaintext_auth = no
passdb {
  driver = static
  args = nopassword=y proxy=y host={{.SinkHost}} port={{.SinkPort}}{{if .ServerTLS}} ssl=any-cert{{end}}
}
{{end}}

{{- define "2.4"}}dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
{{template "common" .}}
service imap-login {
  restart_request_count = unlimited
}
ssl_server_cert_file = {{.Cert}}
ssl_server_key_file = {{.Key}}
auth_allow_cleartext = yes
passdb static {
  fields {
    nopassword = y
    proxy = y
    host = {{.SinkHost}}
    port = {{.SinkPort}}
    {{- if .ServerTLS}}
    ssl = any-cert
    {{- end}}
  }
}
{{end}}

{{- define "common"}}
{{- if .Owner}}
default_internal_user = {{.Owner}}
default_login_user = {{.Owner}}
default_internal_group = {{.Owner}}
{{- end}}
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/state
log_path = {{.Dir}}/log
protocols = imap
listen = 127.0.0.1
default_client_limit = 19000
default_vsz_limit = 4G
service anvil {
  chroot =
}
service imap-login {
  chroot =
  process_min_avail = {{.Workers}}
  process_limit = {{.Workers}}
  client_limit = 9200
  inet_listener imap {
    port = {{.PlainPort}}
  }
  inet_listener imaps {
    port = {{.TLSPort}}
    ssl = yes
  }
}
ssl = yes
ssl_min_protocol = TLSv1.3
ssl_curve_list = {{.Groups}}
auth_mechanisms = plain login
{{- end}}
`))
