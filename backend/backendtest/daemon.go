package backendtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// How long a Daemon may take to start listening, and to end.
const (
	daemonStart = 2 * time.Minute
	daemonStop  = 5 * time.Second
)

// Daemon is a server program of this system with its own configuration, folder and process group, on a free loopback
// port. Only one goroutine may use it.
type Daemon struct {
	Address string // host:port
	Dir     string // everything it has; gone after Close

	program string
	args    []string
	account *owner   // who runs it; nil is the current user
	env     []string // beside PATH
	log     *os.File // where its output goes; nil is nowhere
	jailed  bool     // Dir is its root
	fast    bool     // SIGINT, not SIGTERM, ends it at once
	helper  *helper  // nil where it needs none
	process *process
}

// helper is a program that must run before the daemon.
type helper struct {
	program string
	ready   string // a file that it makes when it is
	process *process
}

// runOptions say as which user, in which root and with which environment a program runs.
type runOptions struct {
	account *owner // nil is the current user
	root    string // "" is the one of this process
	env     []string
	log     *os.File
}

func (d *Daemon) runOptions() runOptions {
	at := runOptions{account: d.account, env: append([]string{"PATH=" + os.Getenv("PATH")}, d.env...), log: d.log}
	if d.jailed {
		at.root = d.Dir
	}
	return at
}

// newDaemon creates the folder of a daemon and finds its programs, the daemon's own first.
func newDaemon(name string, programs ...string) (d *Daemon, paths []string, err error) {
	for _, program := range programs {
		path, err := findProgram(program, "/usr/sbin", "/usr/local/sbin", latest("/usr/lib/postgresql/*/bin"))
		if err != nil {
			return nil, nil, &MissingError{Part: program, Err: err}
		}
		paths = append(paths, path)
	}
	dir, err := os.MkdirTemp("", "portico-"+name+"-") // straight below: paths of sockets must be short
	if err != nil {
		return nil, nil, err
	}
	d = &Daemon{Dir: dir, program: paths[0]}
	if os.Geteuid() == 0 { // most of them refuse to run as root
		account, err := mailOwner()
		if err != nil {
			return nil, nil, errors.Join(err, os.RemoveAll(dir))
		}
		d.account = &account
		err = errors.Join(os.Chmod(dir, 0o755), account.own(dir))
		if err != nil {
			return nil, nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	d.Address = "127.0.0.1:" + ports[0]
	return d, paths, nil
}

// NewProgram returns a daemon that is not a server of this system, but a program of the caller's. It runs as the
// current user, with this process's environment, and listens at address. Stop it instead of Close: it has no folder.
func NewProgram(address string, log *os.File, program string, args ...string) *Daemon {
	return &Daemon{Address: address, program: program, args: args, env: os.Environ(), log: log}
}

// latest returns the last folder that matches a pattern.
func latest(pattern string) string {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

func (d *Daemon) port() string {
	_, port, _ := net.SplitHostPort(d.Address)
	return port
}

// write writes a file into the daemon's folder and returns its path.
func (d *Daemon) write(name, text string) (string, error) {
	path := filepath.Join(d.Dir, name)
	err := os.WriteFile(path, []byte(text), 0o600)
	if err == nil && d.account != nil {
		err = d.account.own(path)
	}
	return path, err
}

// run runs a program to its end, as the daemon's user.
func (d *Daemon) run(program string, args ...string) error { return d.runWith("", program, args...) }

// runWith is run with an input for the program.
func (d *Daemon) runWith(input, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Dir, cmd.Env = d.Dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + d.Dir}
	if d.jailed {
		cmd.Dir = "/"
	}
	runAs(cmd, d.runOptions())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out)
	}
	return nil
}

// Start starts the daemon and returns when it listens. It may be called again after Stop.
func (d *Daemon) Start(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, daemonStart)
	defer cancel()
	if d.helper != nil {
		if err := d.helper.start(ctx, d.runOptions()); err != nil {
			return err
		}
	}
	if d.process, err = startProcess(d.runOptions(), d.program, d.args...); err != nil {
		return err
	}
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.Address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-d.process.done:
			return fmt.Errorf("%s: %w", filepath.Base(d.program), errEnded)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w", filepath.Base(d.program), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// start starts the helper and returns when it is ready.
func (h *helper) start(ctx context.Context, at runOptions) (err error) {
	if h.process, err = startProcess(at, h.program); err != nil {
		return err
	}
	for {
		if _, err = os.Stat(h.ready); err == nil {
			return nil
		}
		select {
		case <-h.process.done:
			return fmt.Errorf("%s: %w", filepath.Base(h.program), errEnded)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", filepath.Base(h.program), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// PID is the process ID of the daemon, once it was started.
func (d *Daemon) PID() int { return d.process.group }

// Kill ends all of its processes as a crash does. Start may follow.
func (d *Daemon) Kill() error {
	d.process.kill()
	return d.process.stop(daemonStop)
}

// Freeze stops the daemon's processes until Thaw. Its connections stay open.
func (d *Daemon) Freeze() error { return d.process.freeze(true) }

// Thaw ends Freeze.
func (d *Daemon) Thaw() error { return d.process.freeze(false) }

// Stop ends all of its processes. It may be called again. Start may follow.
func (d *Daemon) Stop() error {
	var err error
	if d.process != nil {
		if d.fast {
			d.process.interrupt()
		}
		err = d.process.stop(daemonStop)
	}
	if d.helper != nil && d.helper.process != nil {
		err = errors.Join(err, d.helper.process.stop(daemonStop), os.RemoveAll(d.helper.ready))
	}
	return err
}

// Close stops the daemon and removes its folder.
func (d *Daemon) Close() error { return errors.Join(d.Stop(), os.RemoveAll(d.Dir)) }

// started starts a prepared daemon. If that fails, it cleans up.
func (d *Daemon) started(ctx context.Context, err error) (*Daemon, error) {
	if err == nil {
		err = d.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// StartPostgres starts a PostgreSQL whose only user is portico, with a password, and returns when it listens. The
// caller must Close it. The error is a *MissingError if the system has none.
func StartPostgres(ctx context.Context, password string) (*Daemon, error) {
	d, programs, err := newDaemon("postgres", "postgres", "initdb")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(d.Dir, "data")
	d.args, d.fast = []string{"-D", data, "-h", "127.0.0.1", "-p", d.port(), "-k", d.Dir, "-c", "fsync=off"}, true
	file, err := d.write("password", password+"\n")
	if err == nil {
		err = d.run(programs[1], "-D", data, "-U", "portico", "--pwfile", file, "-A", "scram-sha-256", "-N", "-E",
			"UTF8", "--locale=C")
	}
	return d.started(ctx, err)
}

// StartMariaDB starts a MariaDB with a database and a user portico, with a password, and returns when it listens. The
// caller must Close it. The error is a *MissingError if the system has none.
func StartMariaDB(ctx context.Context, password string) (*Daemon, error) {
	d, programs, err := newDaemon("mariadb", "mariadbd", "mariadb-install-db")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(d.Dir, "data")
	first, err := d.write("first.sql", "CREATE DATABASE IF NOT EXISTS portico CHARACTER SET utf8mb4;\n"+
		"CREATE USER IF NOT EXISTS portico@'127.0.0.1' IDENTIFIED BY '"+password+"';\n"+
		"GRANT ALL ON portico.* TO portico@'127.0.0.1';\n")
	d.args = []string{"--no-defaults", "--datadir=" + data, "--port=" + d.port(), "--bind-address=127.0.0.1",
		"--skip-name-resolve",
		"--socket=" + filepath.Join(d.Dir, "socket"), "--pid-file=" + filepath.Join(d.Dir, "pid"),
		"--init-file=" + first,
		"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"}
	if err == nil {
		err = d.run(programs[1], "--no-defaults", "--datadir="+data, "--skip-test-db",
			"--auth-root-authentication-method=normal")
	}
	return d.started(ctx, err)
}

// SlapdOptions configure a slapd.
type SlapdOptions struct {
	LDIF        string       // entries below dc=example,dc=org, that one included
	Password    string       // of cn=portico,dc=example,dc=org, who may read everything
	Certificate *Certificate // for StartTLS
}

// StartSlapd starts OpenLDAP's server for dc=example,dc=org with the schemas core, cosine and inetorgperson, and
// returns when it listens. Everybody may bind and nobody but cn=portico may read. The caller must Close it. The error
// is a *MissingError if the system has none.
func StartSlapd(ctx context.Context, o SlapdOptions) (*Daemon, error) {
	d, programs, err := newDaemon("slapd", "slapd", "slapadd")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(d.Dir, "data")
	certFile, keyFile, certErr := o.Certificate.WriteFiles(d.Dir, "slapd")
	err = errors.Join(certErr, os.Mkdir(data, 0o700))
	if err == nil && d.account != nil {
		err = errors.Join(d.account.own(data), d.account.own(keyFile))
	}
	config, writeErr := d.write("slapd.conf", `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile `+filepath.Join(d.Dir, "pid")+`
TLSCertificateFile `+certFile+`
TLSCertificateKeyFile `+keyFile+`
database mdb
suffix "dc=example,dc=org"
rootdn "cn=portico,dc=example,dc=org"
rootpw `+o.Password+`
directory `+data+`
dbnosync
access to * by * auth
`)
	ldif, ldifErr := d.write("users.ldif", o.LDIF)
	err = errors.Join(err, writeErr, ldifErr)
	d.args = []string{"-d", "0", "-f", config, "-h", "ldap://" + d.Address}
	if err == nil {
		err = d.run(programs[1], "-f", config, "-l", ldif)
	}
	return d.started(ctx, err)
}
