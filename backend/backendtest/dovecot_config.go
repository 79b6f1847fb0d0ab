package backendtest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// manySessions stands for no limit.
const manySessions = 100_000

// dovecotConfig is what a configuration file of Dovecot says, in the terms of the templates: one for each version's
// syntax.
type dovecotConfig struct {
	DovecotOptions
	Dir                  string
	Ports                []string // plain, TLS, and with Proxied the same two with a PROXY header
	CertFile, KeyFile    string
	Owner                owner
	Unprivileged         bool // all processes run as the owner, which needs the chroots off
	MaxUserIPConnections int
	Mechanisms           string
}

// dovecotSyntax holds the template of each version that tests can start. In both, processes wait for users and serve
// one after the other: to start a program for each sign-in takes longer than tests with short time-outs have on a busy
// machine.
var dovecotSyntax = map[string]*template.Template{
	"2.3": template.Must(template.New("dovecot 2.3").Parse(dovecot23)),
	"2.4": template.Must(template.New("dovecot 2.4").Parse(dovecot24)),
}

// writeConfig writes the configuration, certificates and password files, and makes
// the users' folders.
func (d *Dovecot) writeConfig(o DovecotOptions, ports []string) error {
	syntax := dovecotSyntax[d.Version]
	cert, err := o.certificate()
	if err != nil {
		return err
	}
	certFile, keyFile, err := cert.WriteFiles(d.Dir, "dovecot")
	if err != nil {
		return err
	}
	masters := make([]User, 0, len(o.Masters))
	for name, password := range o.Masters {
		masters = append(masters, User{Name: name, Password: password})
	}
	var config strings.Builder
	err = syntax.Execute(&config, dovecotConfig{
		DovecotOptions: o, Dir: d.Dir, Ports: ports, CertFile: certFile, KeyFile: keyFile,
		Owner: d.owner, Unprivileged: os.Geteuid() != 0,
		MaxUserIPConnections: cmp.Or(o.MaxUserIPConnections, manySessions),
		Mechanisms:           cmp.Or(strings.ToLower(strings.Join(o.Mechanisms, " ")), "plain login"),
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.Dir, "dovecot.conf"), []byte(config.String()), 0o600); err != nil {
		return err
	}
	for _, u := range o.Users {
		if err := d.owner.mkdirAll(d.Dir, d.maildir(u.Name)); err != nil {
			return err
		}
	}
	// The auth process runs as another user than root and reads these.
	return errors.Join(
		writePasswords(filepath.Join(d.Dir, "users"), o.Users),
		writePasswords(filepath.Join(d.Dir, "masters"), masters),
		// Dovecot 2.3 has a file of its own for this; 2.4 does not read it.
		os.WriteFile(filepath.Join(d.Dir, "oauth2.conf"),
			[]byte(dovecot23OAuth2+"introspection_url = "+o.TokenURL+"\n"), 0o644),
	)
}

func (o DovecotOptions) certificate() (*Certificate, error) {
	if o.Certificate != nil {
		return o.Certificate, nil
	}
	ca, err := NewCA("Dovecot test CA")
	if err != nil {
		return nil, err
	}
	return ca.Issue(CertOptions{Hosts: []string{"127.0.0.1", "localhost"}})
}

func writePasswords(path string, users []User) error {
	var lines strings.Builder
	for _, u := range users {
		if strings.ContainsAny(u.Name+u.Password, ":\r\n") || strings.Contains(u.Name, "/") {
			return fmt.Errorf("user %q: a password file cannot hold the name or the password", u.Name)
		}
		fmt.Fprintf(&lines, "%s:{PLAIN}%s\n", u.Name, u.Password)
	}
	return os.WriteFile(path, []byte(lines.String()), 0o644)
}

// owner is the system account the mail belongs to.
type owner struct {
	User, Group string
	UID, GID    int
}

// mailOwner is the current user, or nobody for root: Dovecot opens no mail as root.
func mailOwner() (owner, error) {
	account, err := user.Current()
	if err == nil && account.Uid == "0" {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return owner{}, err
	}
	group, err := user.LookupGroupId(account.Gid)
	if err != nil {
		return owner{}, err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return owner{}, err
	}
	gid, err := strconv.Atoi(account.Gid)
	return owner{User: account.Username, Group: group.Name, UID: uid, GID: gid}, err
}

// own gives a file to the owner.
func (o owner) own(path string) error {
	if os.Geteuid() != 0 {
		return nil // it is ours, and so the owner's
	}
	return os.Chown(path, o.UID, o.GID)
}

// mkdirAll makes the folders from root down to path and gives them to the owner.
func (o owner) mkdirAll(root, path string) error {
	rest, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(rest) {
		return fmt.Errorf("%s is not within %s", path, root)
	}
	dir := root
	for name := range strings.SplitSeq(rest, string(filepath.Separator)) {
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o700); errors.Is(err, os.ErrExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := o.own(dir); err != nil {
			return err
		}
	}
	return nil
}
