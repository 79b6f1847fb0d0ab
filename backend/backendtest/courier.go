package backendtest

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// courierCapabilities are what Debian's configuration has.
const courierCapabilities = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT " +
	"QUOTA IDLE"

// Courier is a real Courier of this system's release. It speaks plain text only, its answer to a sign-in lists no
// capabilities, and it knows no LITERAL+.
type Courier struct {
	*Daemon

	mu    sync.Mutex
	users []User
}

// StartCourier starts a Courier, and returns when it listens. The caller must Close it. The error is a *MissingError
// where scripts/test-servers has not unpacked it, or this process is not root's.
func StartCourier(ctx context.Context, users []User) (*Courier, error) {
	d, err := newJailedDaemon("courier", "/usr/sbin/couriertcpd")
	if err != nil {
		return nil, err
	}
	options, err := courierOptions(filepath.Join(d.Dir, "/etc/courier/imapd"))
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.args = slices.Concat([]string{"-address=127.0.0.1", "-maxprocs=1000", "-maxperip=1000"}, options,
		[]string{d.port(), "/usr/lib/courier/courier/imaplogin", "/usr/bin/imapd", "Maildir"})
	d.env = []string{"IMAP_CAPABILITY=" + courierCapabilities, "IMAP_KEYWORDS=1", "IMAP_ACL=1", "IMAP_IDLE_TIMEOUT=1",
		"IMAP_USELOCKS=1",
		"IMAP_MAILBOX_SANITY_CHECK=1", "IMAP_TRASHFOLDERNAME=Trash", "IMAP_EMPTYTRASH=Trash:7"}
	const folder = "/run/courier/authdaemon"
	d.helper = &helper{program: "/usr/lib/courier/courier-authlib/authdaemond",
		ready: filepath.Join(d.Dir, folder, "socket")}
	c := &Courier{Daemon: d}
	err = errors.Join(d.folders(folder, "/mail"), d.writeAll(map[string]string{
		"/etc/courier/authdaemonrc": "authmodulelist=authuserdb\nauthmodulelistorig=authuserdb\ndaemons=5\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=\n",
	}), c.AddUsers(users...))
	_, err = d.started(ctx, err)
	if err == nil {
		err = d.fill(ctx, users)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return c, nil
}

// courierOptions returns the options that Debian's configuration gives the listener: those that keep it from asking
// the network about its clients differ between releases.
func courierOptions(config string) ([]string, error) {
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	_, rest, found := strings.Cut(string(text), "\nTCPDOPTS=\"")
	options, _, closed := strings.Cut(rest, "\"")
	if !found || !closed {
		return nil, fmt.Errorf("%s has no TCPDOPTS", config)
	}
	return strings.Fields(options), nil
}

// AddUsers adds users. It ignores their Mail. It may be called while Courier runs.
func (c *Courier) AddUsers(users ...User) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users = append(c.users, users...)
	account, err := mailOwner()
	if err != nil {
		return err
	}
	var accounts, passwords strings.Builder
	for _, u := range c.users {
		home := filepath.Join("/mail", u.Name)
		fmt.Fprintf(&accounts, "%s\tuid=%d|gid=%d|home=%s\n", u.Name, account.UID, account.GID, home)
		sum := sha1.Sum([]byte(u.Password))
		fmt.Fprintf(&passwords, "%s\timappw={SHA}%s\n", u.Name, base64.StdEncoding.EncodeToString(sum[:]))
	}
	for _, u := range users {
		home := filepath.Join("/mail", u.Name)
		err = errors.Join(err, c.folders(home, home+"/Maildir", home+"/Maildir/cur", home+"/Maildir/new",
			home+"/Maildir/tmp"))
	}
	return errors.Join(err, c.database("/etc/courier/userdb", accounts.String()),
		c.database("/etc/courier/userdbshadow", passwords.String()))
}

// database replaces one of Courier's databases, whole.
func (c *Courier) database(name, lines string) error {
	const program = "/usr/lib/courier/courier-authlib/makedatprog"
	return c.runWith(lines+".\n", program, "-", name+".tmp", name+".dat")
}
