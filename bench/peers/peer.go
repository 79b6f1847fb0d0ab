package peers

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Peer is a proxy under measurement, running.
type Peer struct {
	Name       string
	Version    string
	Plain, TLS string // addresses
	cmd        *exec.Cmd
	helper     *http.Server
}

// site is what all peers of a run share.
type site struct {
	dir  string // for their files
	cert string // PEM, certificate and key in one file
	key  string // the key alone
	sink string // the mailbox server's address
}

func (s *site) file(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// freePorts returns addresses on loopback that nobody listens on.
func freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs, nil
}

// launch starts a peer's program and waits until both its ports answer.
func (p *Peer) launch(logTo string, program string, args ...string) error {
	log, err := os.Create(logTo)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for _, addr := range []string{p.Plain, p.TLS} {
		if err := answers(addr); err != nil {
			text, _ := os.ReadFile(logTo)
			p.Stop()
			return fmt.Errorf("%s does not answer at %s: %w\n%s", p.Name, addr, err, text)
		}
	}
	return nil
}

func answers(addr string) (err error) {
	for range 100 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// Stop ends the peer.
func (p *Peer) Stop() error {
	if p.helper != nil {
		p.helper.Close()
	}
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.cmd.Wait() // killed
	return err
}

// address returns where the peer listens.
func (p *Peer) address(tls bool) string {
	if tls {
		return p.TLS
	}
	return p.Plain
}

func (p *Peer) pid() int { return p.cmd.Process.Pid }

// startPortico starts the program at path.
func startPortico(s *site, path string) (*Peer, error) {
	addrs, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	config, err := s.file("portico.yaml", fmt.Sprintf(`
listeners:
  - {address: %q, tls: none}
  - {address: %q, tls: implicit}
tls: {certificates: [{cert: %q, key: %q}]}
admin: {socket: %q, address: "127.0.0.1:0"}
mailbox_servers: {sink: {address: %q, tls: none}}
databases: {db: {copies: [sink]}}
settings: {login_type: plain_text_login, max_connections_per_user: 100000}
log: {level: warn}
loops: 1
data_dir: %q
`, addrs[0], addrs[1], s.cert, s.key, filepath.Join(s.dir, "admin.sock"), s.sink, s.dir))
	if err != nil {
		return nil, err
	}
	p := &Peer{Name: "portico", Plain: addrs[0], TLS: addrs[1], Version: version(path, "version")}
	return p, p.launch(filepath.Join(s.dir, "portico.log"), path, "serve", "--config", config)
}

// startNginx starts nginx with its mail module; this process answers its authentication requests, so that they are not counted.
func startNginx(s *site) (*Peer, error) {
	addrs, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", addrs[2])
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(s.sink)
	helper := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", host)
		w.Header().Set("Auth-Port", port)
	})}
	go helper.Serve(ln)
	config, err := s.file("nginx.conf", fmt.Sprintf(`
include /etc/nginx/modules-enabled/*mail.conf;
worker_processes 1; daemon off; master_process on; pid %[1]s/nginx.pid; error_log stderr warn;
events { worker_connections 18000; }
mail {
  server_name bench; auth_http %[2]s/auth; proxy_pass_error_message on;
  imap_capabilities IMAP4rev1 UIDPLUS IDLE;
  ssl_certificate %[3]s; ssl_certificate_key %[4]s; ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;
  server { listen %[5]s; protocol imap; proxy on; }
  server { listen %[6]s ssl; protocol imap; proxy on; }
}
`, s.dir, addrs[2], s.cert, s.key, addrs[0], addrs[1]))
	if err != nil {
		return nil, err
	}
	p := &Peer{Name: "nginx", Plain: addrs[0], TLS: addrs[1], helper: helper, Version: version("nginx", "-v")}
	return p, p.launch(filepath.Join(s.dir, "nginx.log"), "nginx", "-c", config)
}

// startHAProxy starts HAProxy in TCP mode, which does not sign anybody in.
func startHAProxy(s *site) (*Peer, error) {
	addrs, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	config, err := s.file("haproxy.cfg", fmt.Sprintf(`
global
  nbthread 1
  maxconn 9000
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
`, addrs[0], addrs[1], s.cert, s.sink))
	if err != nil {
		return nil, err
	}
	p := &Peer{Name: "haproxy", Plain: addrs[0], TLS: addrs[1], Version: version("haproxy", "-v")}
	return p, p.launch(filepath.Join(s.dir, "haproxy.log"), "haproxy", "-db", "-f", config)
}

// version returns the first line that a program says of itself.
func version(program, flag string) string {
	text, err := exec.Command(program, flag).CombinedOutput()
	if err != nil {
		return errors.Join(errors.New("unknown"), err).Error()
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
