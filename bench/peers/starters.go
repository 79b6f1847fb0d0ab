//go:build unix

package peers

import (
	"fmt"
	"net"
	"os"
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

// quiet is the level at which Portico, as the peers, logs nothing of a session that goes well.
const quiet = "warn"

// portico is the name of the peer that all are compared with.
const portico = "portico"

func porticoAt(name, path string) starter {
	return starter{name: name, serverTLS: true, start: func(s *site, tls bool) (*Peer,
		error) {
		return startPortico(s, name, path, tls, 1)
	}}
}

// startPortico starts the program at path as a peer of that name. With more than one server, all have the same
// address, and users are spread.
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
trusted_networks: [127.0.0.1/32] # stands for all clients
log: {level: %s}
loops: %d
data_dir: %q
`, addrs[0], addrs[1], s.cert, s.key, filepath.Join(dir, "admin.sock"), addrs[2],
		mailboxServers.String(), databases.String(), s.logging,
		s.workers, dir), 0o600)
	if err != nil {
		return nil, err
	}
	p := &Peer{site: s, Name: name, Plain: addrs[0], TLS: addrs[1], Version: firstLine([]string{path, "version"}),
		metrics: "http://" + addrs[2] + "/metrics", admin: filepath.Join(dir, "admin.sock")}
	return p, p.launch(s, []string{path, "serve", "--config", config})
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
worker_processes %[8]d; worker_rlimit_nofile 20000; daemon off; pid %[1]s/nginx.pid; error_log stderr warn;
events { worker_connections 19000; }
mail {
  server_name bench; auth_http %[2]s/auth; proxy_pass_error_message on;
  imap_capabilities IMAP4rev1 UIDPLUS IDLE;
  ssl_certificate %[3]s; ssl_certificate_key %[4]s; ssl_protocols TLSv1.3; ssl_ecdh_curve %[7]s;
  server { listen %[5]s; protocol imap; proxy on; }
  server { listen %[6]s ssl; protocol imap; proxy on; }
}
`, dir, addrs[2], s.cert, s.key, addrs[0], addrs[1], s.system.groups(), s.workers), 0o600)
	if err != nil {
		return nil, err
	}
	p := &Peer{site: s, Name: "nginx", Plain: addrs[0], TLS: addrs[1], Version: s.system.says("nginx", "-v")}
	if p.helper, err = s.run(filepath.Join(s.dir, "nginx-auth.log"),
		s.system.command("nginx", "-c", authConfig)); err != nil {
		return nil, err
	}
	if err := answers(addrs[2]); err != nil {
		p.Stop()
		return nil, fmt.Errorf("nginx for authentication: %w", err)
	}
	return p, p.launch(s, s.system.command("nginx", "-c", config))
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
  nbthread %d
  maxconn 9200
  ssl-default-bind-curves %s
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
`, s.workers, s.system.groups(), addrs[0], addrs[1], s.cert, server))
	if err != nil {
		return nil, err
	}
	p := &Peer{site: s, Name: "haproxy", Plain: addrs[0], TLS: addrs[1], Version: s.system.says("haproxy", "-v")}
	return p, p.launch(s, s.system.command("haproxy", "-db", "-f", config))
}
