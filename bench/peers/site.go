//go:build unix

package peers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"portico/backend/backendtest"
)

// site is what all peers of a run share.
type site struct {
	dir           string // for their files
	ca            string // PEM, the authority of the certificate
	cert          string // PEM, certificate and key in one file
	key           string // the key alone
	sink, sinkTLS string // the mailbox server's addresses
	client        *tls.Config
	system        system   // of the peers
	logging       string   // Portico's level
	workers       int      // that each peer has
	env           []string // of what it runs, beside this program's own
	sinks         []*exec.Cmd
	atEnd         []func()

	mu      sync.Mutex
	stopped bool
	started map[*exec.Cmd]bool // what runs, or has run
}

// newTLS returns clients' configuration for new TLS sessions, with the hybrid key exchange if the peers' OpenSSL has
// it; hybrid is what a row's name says of it.
func (s *site) newTLS() (config *tls.Config, hybrid string, err error) {
	if !s.system.hybrid {
		return s.client, "", nil
	}
	config, err = clientTLS(s.ca, tls.X25519MLKEM768)
	return config, ", hybrid key exchange", err
}

// openSite makes a site in a temporary folder, which close removes. When ctx is done, what runs is killed.
func openSite(ctx context.Context, root string) (*site, error) {
	if err := raiseDescriptors(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "portico-peers")
	if err != nil {
		return nil, err
	}
	var s *site
	if err = os.Chmod(dir, 0o755); err == nil { // peers that leave root's rights still read the certificate
		s, err = newSite(dir, newSystem(self, root))
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	unwatch := context.AfterFunc(ctx, s.stop)
	s.atEnd = append(s.atEnd, func() { unwatch() }, func() { os.RemoveAll(dir) })
	return s, nil
}

// newSite makes the certificate and starts the mailbox servers in dir.
func newSite(dir string, peers system) (*site, error) {
	s := &site{dir: dir, system: peers, logging: quiet, workers: 1, started: make(map[*exec.Cmd]bool)}
	ca, err := backendtest.NewCA("peers")
	if err != nil {
		return nil, err
	}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"localhost", "127.0.0.1"}})
	if err != nil {
		return nil, err
	}
	if _, s.key, err = cert.WriteFiles(dir, "bench"); err != nil {
		return nil, err
	}
	if s.cert, err = s.file("both.pem", string(cert.CertPEM)+string(cert.KeyPEM)); err != nil { // as HAProxy wants it
		return nil, err
	}
	if s.ca, err = s.file("ca.pem", string(ca.CertPEM)); err != nil {
		return nil, err
	}
	if s.client, err = clientTLS(s.ca, tls.X25519); err != nil {
		return nil, err
	}
	addrs, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s.sink, s.sinkTLS = addrs[0], addrs[1]
	for i, args := range [][]string{{"sink", s.sink}, {"sink", s.sinkTLS, s.cert, s.key}} {
		cmd, err := s.run(filepath.Join(dir, fmt.Sprintf("sink%d.log", i)), append([]string{peers.self}, args...))
		if err != nil {
			s.close()
			return nil, err
		}
		s.sinks = append(s.sinks, cmd)
		if err := answers(args[1]); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// run starts a program, the first of command, in a process group of its own, so that all it starts can be ended with
// it.
func (s *site) run(logTo string, command []string) (*exec.Cmd, error) {
	log, err := os.Create(logTo)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, errStopped
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.started[cmd] = true
	return cmd, nil
}

var errStopped = errors.New("stopped by a signal")

// stop kills what runs, from any goroutine; measuring then ends with errors.
func (s *site) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for cmd := range s.started {
		kill(cmd.Process.Pid)
	}
}

// end ends what run started.
func (s *site) end(cmd *exec.Cmd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.started, cmd) // its number may soon be another's
	end(cmd)
}

// close ends the mailbox servers.
func (s *site) close() {
	for _, cmd := range s.sinks {
		s.end(cmd)
	}
	for _, f := range s.atEnd {
		f()
	}
}

func (s *site) file(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// build makes the program under measurement.
func (s *site) build(flags ...string) (string, error) {
	path := filepath.Join(s.dir, "portico-program")
	args := slices.Concat([]string{"build", "-o", path}, flags, []string{"portico/cmd/portico"})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
}

// Role makes this program one of a run's other processes if its arguments ask for it: the mailbox server, the storm of
// sign-ins, the bystander, or a program of another root. They are apart so that only the proxies are measured and
// descriptors suffice.
func Role(args []string) (asked bool, err error) {
	switch {
	case len(args) >= 2 && args[0] == "sink":
		return true, serveSink(args[1], args[2:])
	case len(args) == 4 && args[0] == "bystander":
		return true, bystander(args[1], args[2], args[3])
	case len(args) >= 3 && args[0] == "inside":
		return true, enterRoot(args[1], args[2], args[3:])
	case len(args) == 5 && args[0] == "storm":
		return true, storm(args[1], args[2], args[3], args[4])
	}
	return false, nil
}

// serveSink is the mailbox server of a run, with TLS if files are named. It ends with the process.
func serveSink(addr string, files []string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	var config *tls.Config
	if len(files) == 2 {
		pair, err := tls.LoadX509KeyPair(files[0], files[1])
		if err != nil {
			return err
		}
		config = &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
			CurvePreferences: []tls.CurveID{tls.X25519},
		}
	}
	return backendtest.NewSink(config).Serve(ln)
}
