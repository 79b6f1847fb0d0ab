package backendtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// How long Dovecot may take to greet, and to end.
const (
	dovecotStart = 2 * time.Minute
	dovecotStop  = 10 * time.Second
)

// dovecotTries is how often to try a start: another program may take the free port before Dovecot listens on it.
const dovecotTries = 3

// MissingError is the error about a missing part of the system that a server needs.
type MissingError struct {
	Part string // a program's or a package's name
	Err  error
}

func (e *MissingError) Error() string { return fmt.Sprintf("%s is missing: %v", e.Part, e.Err) }

// Unwrap returns the error of the search.
func (e *MissingError) Unwrap() error { return e.Err }

// DovecotOptions configure a Dovecot. Only Users is required.
type DovecotOptions struct {
	// Users are the mailbox owners. Their Mail is stored before the start.
	Users []User
	// Masters are accounts (name to password) that may sign in as any user, by
	// PLAIN with an authorization identity or by user*master.
	Masters map[string]string
	// Certificate is presented for STARTTLS and on the TLS port; without one, a
	// throw-away certificate for 127.0.0.1 and localhost is made.
	Certificate *Certificate
	// TrustedNetworks is login_trusted_networks: clients there may say by ID who
	// the real client is. Empty trusts nobody.
	TrustedNetworks string
	// RequireTLS refuses plain-text sign-in, loopback included.
	RequireTLS bool
	// MaxUserIPConnections is how many sessions a user may have from one address;
	// zero means practically no limit.
	MaxUserIPConnections int
	// QuickFailures answers refused sign-ins without a delay.
	QuickFailures bool
	// NoCompress leaves COMPRESS out of the capabilities.
	NoCompress bool
	// Proxied opens two more ports, ProxiedPlain and ProxiedTLS, whose clients on
	// loopback begin with a header of the PROXY protocol.
	Proxied bool
	// Mechanisms are the SASL mechanisms; none means PLAIN and LOGIN.
	Mechanisms []string
	// TokenURL is where XOAUTH2 and OAUTHBEARER have their tokens introspected; the token is
	// appended. The answer's members are active, a boolean, and user.
	TokenURL string
	// Extra is appended to the configuration file as it is, so both versions must
	// know it.
	Extra string
}

// Dovecot is a real Dovecot 2.3 or 2.4 of this system with its own configuration, in its
// own folder and process group, on loopback ports that were free.
type Dovecot struct {
	Version      string // 2.3 or 2.4
	Plain        string // address of the port with STARTTLS
	TLS          string // address of the port with implicit TLS
	ProxiedPlain string // as Plain, behind a header of the PROXY protocol; empty unless asked for
	ProxiedTLS   string // as TLS, the same way
	Dir          string // everything it has; gone after Stop
	Log          string // path of its log

	owner   owner // who owns the mail
	process *process
}

// LookupDovecot returns the release of this system's Dovecot, "2.3" or "2.4", whose configurations differ. The error
// is a *MissingError if the system has neither with its IMAP server.
func LookupDovecot() (release string, err error) {
	_, release, err = lookupDovecot()
	return release, err
}

func lookupDovecot() (program, release string, err error) {
	program, err = findProgram("dovecot", "/usr/sbin", "/usr/local/sbin")
	if err != nil {
		return "", "", &MissingError{Part: "dovecot", Err: err}
	}
	output, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "", "", &MissingError{Part: "dovecot", Err: err}
	}
	version := strings.TrimSpace(string(output))
	release = version[:min(len("2.3"), len(version))]
	if dovecotSyntax[release] == nil || !strings.HasPrefix(version[len(release):], ".") {
		return "", "", &MissingError{Part: "dovecot 2.3 or 2.4", Err: fmt.Errorf("found %s", version)}
	}
	if _, err := findProgram("imap-login", "/usr/lib/dovecot", "/usr/libexec/dovecot"); err != nil {
		return "", "", &MissingError{Part: "dovecot-imapd", Err: err}
	}
	return program, release, nil
}

func findProgram(name string, dirs ...string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range dirs {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	return path, err
}

// StartDovecot starts a Dovecot and returns when it greets. The caller must Stop it;
// it also ends when the calling process does. The error is a *MissingError if the
// system has no Dovecot; otherwise it holds Dovecot's log.
func StartDovecot(ctx context.Context, o DovecotOptions) (*Dovecot, error) {
	program, release, err := lookupDovecot()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		d, err := startDovecot(ctx, program, release, o)
		if err == nil {
			return d, nil
		}
		if try == dovecotTries || ctx.Err() != nil || !errors.Is(err, errEnded) {
			return nil, fmt.Errorf("start dovecot: %w", err)
		}
	}
}

func startDovecot(ctx context.Context, program, release string, o DovecotOptions) (*Dovecot, error) {
	d, err := newDovecot(release, o)
	if err != nil {
		return nil, err
	}
	d.process, err = startProcess(runOptions{env: []string{"PATH=" + os.Getenv("PATH")}}, program, "-F", "-c",
		filepath.Join(d.Dir, "dovecot.conf"))
	if err == nil {
		err = d.waitReady(ctx)
	}
	if err != nil {
		log := d.ReadLog()
		return nil, fmt.Errorf("%w\n%s", errors.Join(err, d.Stop()), log)
	}
	return d, nil
}

// newDovecot creates everything that Dovecot needs, and does not start it.
func newDovecot(release string, o DovecotOptions) (d *Dovecot, err error) {
	// Straight below the temporary folder: Dovecot's other users must get there, and
	// the paths of its sockets must be short.
	dir, err := os.MkdirTemp("", "portico-dovecot-")
	if err != nil {
		return nil, err
	}
	d = &Dovecot{Version: release, Dir: dir, Log: filepath.Join(dir, "dovecot.log")}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	if d.owner, err = mailOwner(); err != nil {
		return nil, err
	}
	ports, err := FreePorts(4)
	if err != nil {
		return nil, err
	}
	d.Plain, d.TLS = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	if o.Proxied {
		d.ProxiedPlain, d.ProxiedTLS = "127.0.0.1:"+ports[2], "127.0.0.1:"+ports[3]
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if err := d.writeConfig(o, ports); err != nil {
		return nil, err
	}
	for _, u := range o.Users {
		for _, m := range u.Mail {
			if err := d.AddMail(u.Name, m.Mailbox, m.Message); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// waitReady waits for the greeting on the plain port.
func (d *Dovecot) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dovecotStart)
	defer cancel()
	for {
		err := greets(ctx, d.Plain)
		if err == nil {
			return nil
		}
		select {
		case <-d.process.done:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("no greeting: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func greets(ctx context.Context, addr string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetReadDeadline(deadline)
	}
	_, err = bufio.NewReader(conn).ReadString('\n')
	return err
}

// AddMail delivers a message to a user's mailbox, as a mail transfer agent would, and creates the mailbox if it is
// missing. A session in IDLE is notified. Mailbox names are ASCII with dots between the levels; empty means INBOX.
func (d *Dovecot) AddMail(user, mailbox string, message []byte) error {
	folder := d.maildir(user)
	if mailbox != "" && !strings.EqualFold(mailbox, "INBOX") {
		folder = filepath.Join(folder, "."+mailbox)
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := d.owner.mkdirAll(d.Dir, filepath.Join(folder, sub)); err != nil {
			return fmt.Errorf("deliver to %s: %w", user, err)
		}
	}
	f, err := os.CreateTemp(filepath.Join(folder, "tmp"), fmt.Sprintf("%d.*.portico", time.Now().UnixNano()))
	if err != nil {
		return fmt.Errorf("deliver to %s: %w", user, err)
	}
	_, err = f.Write(message)
	err = errors.Join(err, d.owner.own(f.Name()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, "new", filepath.Base(f.Name())))
	}
	if err != nil {
		return fmt.Errorf("deliver to %s: %w", user, err)
	}
	return nil
}

func (d *Dovecot) maildir(user string) string {
	return filepath.Join(d.Dir, "mail", user, "Maildir")
}

// ReadLog returns Dovecot's log so far.
func (d *Dovecot) ReadLog() string {
	log, err := os.ReadFile(d.Log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return string(log)
}

// Alive reports whether any of its processes is left.
func (d *Dovecot) Alive() bool {
	return d.process != nil && d.process.groupAlive()
}

// Stop ends all of its processes, including sessions, and removes its folder. The error names processes that did not
// end. Stop may be called again.
func (d *Dovecot) Stop() error {
	var err error
	if d.process != nil {
		err = d.process.stop(dovecotStop)
	}
	return errors.Join(err, os.RemoveAll(d.Dir))
}
