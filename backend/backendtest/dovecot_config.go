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

// dovecotConfig is the configuration of Dovecot 2.3. Without root, all processes run as
// the current user, which needs the chroots off.
var dovecotConfig = template.Must(template.New("dovecot.conf").Parse(`
base_dir = {{.Dir}}/run
state_dir = {{.Dir}}/state
log_path = {{.Dir}}/dovecot.log
{{- if .Unprivileged}}
default_internal_user = {{.Owner.User}}
default_internal_group = {{.Owner.Group}}
default_login_user = {{.Owner.User}}
{{- end}}
default_client_limit = 20000
default_process_limit = 2000

protocols = imap
listen = 127.0.0.1
service anvil {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  inet_listener imap {
    port = {{.PlainPort}}
  }
  inet_listener imaps {
    port = {{.TLSPort}}
    ssl = yes
  }
}

ssl = yes
ssl_min_protocol = TLSv1.2
ssl_cert = <{{.CertFile}}
ssl_key = <{{.KeyFile}}

auth_mechanisms = plain login
auth_master_user_separator = *
disable_plaintext_auth = {{if .RequireTLS}}yes{{else}}no{{end}}
login_trusted_networks = {{.TrustedNetworks}}
passdb {
  driver = passwd-file
  master = yes
  args = {{.Dir}}/masters
}
passdb {
  driver = passwd-file
  args = {{.Dir}}/users
}
userdb {
  driver = static
  args = uid={{.Owner.UID}} gid={{.Owner.GID}} home={{.Dir}}/mail/%u
}

first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
mail_plugins = zlib
protocol imap {
  mail_max_userip_connections = {{.MaxUserIPConnections}}
  mail_plugins = $mail_plugins imap_zlib
}
{{.Extra}}
`))

// writeConfig writes the configuration, certificates and password files, and makes
// the users' folders.
func (d *Dovecot) writeConfig(o DovecotOptions, ports []string) error {
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
	err = dovecotConfig.Execute(&config, map[string]any{
		"Dir": d.Dir, "PlainPort": ports[0], "TLSPort": ports[1],
		"CertFile": certFile, "KeyFile": keyFile,
		"Owner": d.owner, "Unprivileged": os.Geteuid() != 0,
		"RequireTLS": o.RequireTLS, "TrustedNetworks": o.TrustedNetworks,
		"MaxUserIPConnections": cmp.Or(o.MaxUserIPConnections, manySessions),
		"Extra":                o.Extra,
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
