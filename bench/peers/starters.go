//go:build unix

package peers

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// starters are all peers; Portico, whose program is at path, comes first.
func starters(path string) []starter {
	return []starter{
		porticoAt(portico, path),
		{name: "nginx", start: startNginx},
		{name: "haproxy", start: startHAProxy, serverTLS: true},
		{name: "dovecot", start: startDovecot, serverTLS: true, slowTLS: true},
	}
}

// portico is the name of the peer that all are compared with.
const portico = "portico"

func porticoAt(name, path string) starter {
	return starter{name: name, serverTLS: true, start: func(s *site, tls bool) (*Peer, error) { return startPortico(s, name, path, tls, 1) }}
}

// startPortico starts the program at path as a peer of that name. With more than one server, all have the same address, and users are spread.
func startPortico(s *site, name, path string, serverTLS bool, servers int) (*Peer, error) {
	addrs, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	server := fmt.Sprintf("{address: %q, tls: none}", s.sink)
	if serverTLS {
		server = fmt.Sprintf("{address: %q, tls: implicit, ca: %q, server_name: localhost}", s.sinkTLS, s.ca)
	}
	var mailboxServers, databases strings.Builder
	for i := range servers {
		fmt.Fprintf(&mailboxServers, "  mbx%d: %s\n", i, server)
		fmt.Fprintf(&databases, "  db%d: {copies: [mbx%d]}\n", i, i)
	}
	if servers > 1 {
		databases.WriteString("routing: hash\n")
	}
	dir, err := os.MkdirTemp(s.dir, portico)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "portico.yaml")
	err = os.WriteFile(config, fmt.Appendf(nil, `
listeners:
  - {address: %q, tls: none}
  - {address: %q, tls: implicit}
tls: {certificates: [{cert: %q, key: %q}]}
admin: {socket: %q, address: %q}
mailbox_servers:
%sdatabases:
%ssettings: {login_type: plain_text_login, max_connections_per_user: 100000}
log: {level: warn}
loops: 1
data_dir: %q
`, addrs[0], addrs[1], s.cert, s.key, filepath.Join(dir, "admin.sock"), addrs[2], mailboxServers.String(), databases.String(), dir), 0o600)
	if err != nil {
		return nil, err
	}
	p := &Peer{site: s, Name: name, Plain: addrs[0], TLS: addrs[1], Version: version(path, "version"), metrics: "http://" + addrs[2] + "/metrics", admin: filepath.Join(dir, "admin.sock")}
	return p, p.launch(s, path, "serve", "--config", config)
}

// startNginx starts nginx with its mail module, and a second nginx that answers its authentication requests.
func startNginx(s *site, _ bool) (*Peer, error) {
	addrs, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "nginx")
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(s.sink)
	authConfig := filepath.Join(dir, "auth.conf")
	err = os.WriteFile(authConfig, fmt.Appendf(nil, `
worker_processes 1; daemon off; pid %[1]s/auth.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen %[2]s; location / {
    add_header Auth-Status OK; add_header Auth-Server %[3]s; add_header Auth-Port %[4]s; return 204;
  } }
}
`, dir, addrs[2], host, port), 0o600)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nginx.conf")
	err = os.WriteFile(config, fmt.Appendf(nil, `
include /etc/nginx/modules-enabled/*mail.conf;
worker_processes 1; worker_rlimit_nofile 20000; daemon off; pid %[1]s/nginx.pid; error_log stderr warn;
events { worker_connections 19000; }
mail {
  server_name bench; auth_http %[2]s/auth; proxy_pass_error_message on;
  imap_capabilities IMAP4rev1 UIDPLUS IDLE;
  ssl_certificate %[3]s; ssl_certificate_key %[4]s; ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;
  server { listen %[5]s; protocol imap; proxy on; }
  server { listen %[6]s ssl; protocol imap; proxy on; }
}
`, dir, addrs[2], s.cert, s.key, addrs[0], addrs[1]), 0o600)
	if err != nil {
		return nil, err
	}
	p := &Peer{site: s, Name: "nginx", Plain: addrs[0], TLS: addrs[1], Version: version("nginx", "-v")}
	if p.helper, err = s.run(filepath.Join(s.dir, "nginx-auth.log"), "nginx", "-c", authConfig); err != nil {
		return nil, err
	}
	if err := answers(addrs[2]); err != nil {
		p.Stop()
		return nil, fmt.Errorf("nginx for authentication: %w", err)
	}
	return p, p.launch(s, "nginx", "-c", config)
}

// startHAProxy starts HAProxy in TCP mode, which does not sign anybody in.
func startHAProxy(s *site, serverTLS bool) (*Peer, error) {
	addrs, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	server := s.sink
	if serverTLS {
		server = s.sinkTLS + " ssl verify required ca-file " + s.ca + " verifyhost localhost"
	}
	config, err := s.file("haproxy.cfg", fmt.Sprintf(`
global
  nbthread 1
  maxconn 9200
  ssl-default-bind-curves X25519
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend plain
  bind %s
  default_backend sink
frontend tls
  bind %s ssl crt %s
  default_backend sink
backend sink
  server sink %s
`, addrs[0], addrs[1], s.cert, server))
	if err != nil {
		return nil, err
	}
	p := &Peer{site: s, Name: "haproxy", Plain: addrs[0], TLS: addrs[1], Version: version("haproxy", "-v")}
	return p, p.launch(s, "haproxy", "-db", "-f", config)
}

// startDovecot starts Dovecot 2.3 as a login proxy, one login process for all.
func startDovecot(s *site, serverTLS bool) (*Peer, error) {
	addrs, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dv") // short: paths of its sockets are bounded
	if err != nil {
		return nil, err
	}
	s.atEnd = append(s.atEnd, func() { os.RemoveAll(dir) })
	_, plain, _ := net.SplitHostPort(addrs[0])
	_, implicit, _ := net.SplitHostPort(addrs[1])
	sink, ssl := s.sink, ""
	if serverTLS {
		sink, ssl = s.sinkTLS, " ssl=any-cert"
	}
	host, port, _ := net.SplitHostPort(sink)
	owner := ""
	if os.Geteuid() != 0 {
		me, err := user.Current()
		if err != nil {
			return nil, err
		}
		owner = fmt.Sprintf("default_internal_user = %[1]s\ndefault_login_user = %[1]s\ndefault_internal_group = %[1]s\n", me.Username)
	}
	config := filepath.Join(dir, "dovecot.conf")
	err = os.WriteFile(config, fmt.Appendf(nil, `%s
base_dir = %[2]s/run
state_dir = %[2]s/state
log_path = %[2]s/log
protocols = imap
listen = 127.0.0.1
default_client_limit = 19000
default_vsz_limit = 4G
service anvil {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 9200
  inet_listener imap {
    port = %[3]s
  }
  inet_listener imaps {
    port = %[4]s
    ssl = yes
  }
}
ssl = yes
ssl_min_protocol = TLSv1.3
ssl_curve_list = X25519
ssl_cert = <%[5]s
ssl_key = <%[6]s
auth_mechanisms = plain login
disable_plaintext_auth = no
passdb {
  driver = static
  args = nopassword=y proxy=y host=%[7]s port=%[8]s%[9]s
}
`, owner, dir, plain, implicit, s.cert, s.key, host, port, ssl), 0o600)
	if err != nil {
		return nil, err
	}
	p := &Peer{site: s, Name: "dovecot", Plain: addrs[0], TLS: addrs[1], Version: version("dovecot", "--version")}
	return p, p.launch(s, "dovecot", "-F", "-c", config)
}
