package backendtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
)

// cyrusDomain is the domain of users whose names have none.
const cyrusDomain = "example.net"

// cyrusConfig is imapd.conf. Mail is delivered by IMAP, so INBOX is made when its owner signs in.
const cyrusConfig = `configdirectory: /var/lib/cyrus
defaultpartition: default
partition-default: /var/spool/cyrus/mail
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
idlesocket: /run/cyrus/socket/idle
cyrus_user: cyrus
allowplaintext: yes
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /var/lib/cyrus/sasldb2
virtdomains: userid
defaultdomain: ` + cyrusDomain + `
servername: ` + cyrusDomain + `
altnamespace: no
unixhierarchysep: yes
autocreate_quota: 0
failedloginpause: 0
tls_server_cert: disabled
tls_server_key: disabled
`

// cyrusServices is cyrus.conf, but for the address to listen on.
const cyrusServices = `START {
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r"
}
SERVICES {
  imap cmd="/usr/lib/cyrus/bin/imapd" listen="%s" proto="tcp4" prefork=0 maxchild=1000
}
EVENTS {
}
DAEMON {
  idled cmd="/usr/lib/cyrus/bin/idled"
}
`

// Cyrus is a real Cyrus IMAP of this system's release. It speaks plain text only.
type Cyrus struct{ *Daemon }

// StartCyrus starts a Cyrus, and returns when it listens. The caller must Close it. The error is a *MissingError where
// scripts/test-servers has not unpacked it, or this process is not root's.
func StartCyrus(ctx context.Context, users []User) (*Cyrus, error) {
	d, err := newJailedDaemon("cyrus", "/usr/lib/cyrus/bin/master", "-C", "/etc/imapd.conf", "-M", "/etc/cyrus.conf",
		"-D", "-p", "/run/cyrus/pid")
	if err != nil {
		return nil, err
	}
	account, err := mailOwner()
	d.account = &account
	folders := []string{"/run/cyrus", "/run/cyrus/proc", "/run/cyrus/lock", "/run/cyrus/socket", "/var/lib/cyrus",
		"/var/spool/cyrus/mail"}
	for _, name := range []string{"db", "proc", "socket", "lock", "log", "msg", "ptclient", "quota", "sieve",
		"sync", "user"} {
		folders = append(folders, "/var/lib/cyrus/"+name)
	}
	c := &Cyrus{d}
	err = errors.Join(err, d.folders(folders...), d.writeAll(map[string]string{
		"/etc/imapd.conf": cyrusConfig, "/etc/cyrus.conf": fmt.Sprintf(cyrusServices, d.Address),
	}))
	if err == nil {
		err = c.AddUsers(users...)
	}
	_, err = d.started(ctx, err)
	if err == nil {
		err = d.fill(ctx, users)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return c, nil
}

// AddUsers adds users. It ignores their Mail. It may be called while Cyrus runs, by one goroutine at a time.
func (c *Cyrus) AddUsers(users ...User) error {
	for _, u := range users {
		local, domain, _ := strings.Cut(u.Name, "@")
		err := c.runWith(u.Password, "/usr/sbin/saslpasswd2", "-p", "-c", "-f", "/var/lib/cyrus/sasldb2", "-u",
			cmp.Or(domain, cyrusDomain), local)
		if err != nil {
			return err
		}
	}
	return nil
}
