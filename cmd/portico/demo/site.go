package demo

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"portico/backend"
	"portico/backend/backendtest"
)

const (
	password = "demo"        // everybody's
	domain   = "example.org" // of users who sign in without one
)

// userNames, serverNames and databaseNames are who and what is there. Each database has a copy on each server; db1 is
// first active on mbx1, db2 on mbx2.
var (
	userNames     = []string{"alice", "bob", "carol"}
	serverNames   = []string{"mbx1", "mbx2"}
	healthUsers   = []string{"health1", "health2"} // the health mailbox of each database
	databaseNames = []string{"db1", "db2"}
)

// mark is the first line of a configuration that demo wrote, and so may overwrite.
const mark = "# Written by portico demo; the next demo overwrites it.\n"

// site is what the demo's proxy stands in front of, and the files it uses.
type site struct {
	dir     string
	ca      *backendtest.CA
	mail    *backendtest.Memory                    // of all databases: their copies are the same mail
	servers map[string]*backendtest.OutageListener // where it is served, by the names of the mailbox servers
	homes   map[string]string                      // the server on which a user's database is active first
	token   string                                 // that the console takes
	group   sync.WaitGroup
}

// startSite starts the mailbox servers and writes the certificates.
func startSite(dir string) (*site, error) {
	site := &site{dir: dir, homes: make(map[string]string), token: rand.Text(),
		servers: make(map[string]*backendtest.OutageListener)}
	if err := site.start(); err != nil {
		site.close()
		return nil, fmt.Errorf("demo: %w", err)
	}
	return site, nil
}

func (d *site) start() (err error) {
	if d.ca, err = backendtest.NewCA("Portico demo"); err != nil {
		return err
	}
	if _, err = d.ca.WriteFile(d.dir); err != nil {
		return err
	}
	cert, err := d.ca.Issue(backendtest.CertOptions{Hosts: []string{"localhost", "127.0.0.1", "::1"}})
	if err != nil {
		return err
	}
	if _, _, err = cert.WriteFiles(d.dir, "portico"); err != nil {
		return err
	}
	if d.mail, err = backendtest.NewMemory(backendtest.MemoryOptions{Name: "demo", Users: d.users(),
		TLSConfig: cert.ServerConfig()}); err != nil {
		return err
	}
	for _, name := range serverNames {
		ln, err := backendtest.ListenOutage("127.0.0.1:0")
		if err != nil {
			return err
		}
		d.servers[name] = ln
		d.group.Go(func() { d.mail.ServeTLS(ln) })
	}
	return nil
}

// users are all who have mail. It says on which server they have it first.
func (d *site) users() (users []backendtest.User) {
	now, router := time.Now(), backend.NewRouter(databaseNames)
	add := func(user string, database int) {
		d.homes[user] = serverNames[database]
		users = append(users, backendtest.User{Name: user, Password: password,
			Mail: backendtest.DemoMail(user, serverNames[database], now)})
	}
	for _, user := range userNames {
		add(user, slices.Index(databaseNames, router.Database(user+"@"+domain)))
	}
	for i, user := range healthUsers {
		add(user, i)
	}
	return users
}

// close ends the mailbox servers.
func (d *site) close() {
	for _, ln := range d.servers {
		ln.Close()
	}
	if d.mail != nil {
		d.mail.Close()
	}
	d.group.Wait()
}

func (d *site) path(name string) string { return filepath.Join(d.dir, name) }

// writeConfig writes the configuration that the proxy is served from. A file that is not the demo's is left alone.
func (d *site) writeConfig(o Options) (file string, err error) {
	if file, err = d.writeConfigAs("portico.yaml", d.configFor(o)); err != nil {
		return "", err
	}
	return file, d.write(map[string]string{"health.password": password, "admin.token": d.token})
}

// write writes files of one line.
func (d *site) write(files map[string]string) error {
	for name, text := range files {
		if err := os.WriteFile(d.path(name), []byte(text+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// configFor returns the configuration of a proxy on some ports.
func (d *site) configFor(o Options) string {
	return fmt.Sprintf(configuration, o.IMAPPort, o.IMAPSPort, o.HTTPPort, d.servers["mbx1"].Addr(),
		d.servers["mbx2"].Addr(), domain)
}

// writeConfigAs writes a configuration. A file that is not the demo's is left alone.
func (d *site) writeConfigAs(name, text string) (file string, err error) {
	file = d.path(name)
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err == nil && !bytes.HasPrefix(old, []byte(mark)) {
		return "", fmt.Errorf("%s was not written by a demo: it is not overwritten", file)
	}
	return file, os.WriteFile(file, []byte(mark+text), 0o600)
}

const configuration = `listeners:
  - {address: "127.0.0.1:%d", tls: starttls}
  - {address: "127.0.0.1:%d", tls: implicit}
tls:
  certificates: [{cert: portico.crt, key: portico.key}]
admin:
  socket: admin.sock
  address: "127.0.0.1:%d"
  token_file: admin.token
mailbox_servers:
  mbx1: {address: "%s", tls: implicit, ca: ca.crt}
  mbx2: {address: "%s", tls: implicit, ca: ca.crt}
databases:
  db1: {copies: [mbx1, mbx2], interchangeable: true}
  db2: {copies: [mbx2, mbx1], interchangeable: true}
routing: hash
health:
  mailboxes:
    db1: {user: health1, password_file: health.password}
    db2: {user: health2, password_file: health.password}
  ctp: {interval: 30s}
  deep_test: {interval: 30s}
default_domain: %s
settings:
  login_type: plain_text_login
data_dir: data
log:
  format: console
`
