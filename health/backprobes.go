package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"portico/backend"
	"portico/backend/secret"
)

// The health sets and probes that the seed names.
const (
	SetIMAP     = "IMAP"
	SetProxy    = "IMAP.Proxy"
	SetProtocol = "IMAP.Protocol"

	ImapSelfTestProbe  = "ImapSelfTestProbe"
	ImapDeepTestProbe  = "ImapDeepTestProbe"
	ImapProxyTestProbe = "ImapProxyTestProbe"
	ImapCTPProbe       = "ImapCTPProbe"

	ImapSelfTestMonitor  = "ImapSelfTestMonitor"
	ImapDeepTestMonitor  = "ImapDeepTestMonitor"
	ImapProxyTestMonitor = "ImapProxyTestMonitor"
	ImapCTPMonitor       = "ImapCTPMonitor"
)

// Mailbox is a health mailbox: one of a database's, which is there for probes alone.
type Mailbox struct {
	User     string                       // canonical
	Password func() (secret.Value, error) // read again each time: somebody may have changed it
}

// Back is what probes look at behind the proxy. All of it may change while probes run.
type Back struct {
	Tier    func() *backend.Tier
	Mailbox func(database string) (Mailbox, bool)
}

// account returns whom a run signs in as: whom somebody has asked for, or the database's health mailbox.
func (b Back) account(run *Run, database string) (user string, password secret.Value, err error) {
	if run.Account != "" {
		return run.Account, secret.Value(run.Password), nil
	}
	m, ok := b.Mailbox(database)
	if !ok {
		return "", "", fmt.Errorf("database %s has no health mailbox: see health.mailboxes", database)
	}
	password, err = m.Password()
	return m.User, password, err
}

// SelfTest is ImapSelfTestProbe: the server answers and signs in. No mailbox is touched.
func (b Back) SelfTest(server string) func(context.Context, *Run) error {
	return func(ctx context.Context, run *Run) error {
		run.Mailbox = server
		database, ok := b.databaseOn(server)
		if !ok {
			return errors.New("no database has a copy on this server: there is nobody to sign in as")
		}
		link, err := b.open(ctx, run, server, database)
		if err != nil {
			return err
		}
		defer link.Conn.Close()
		run.Step("logout")
		client, end := newOverheard(ctx, link).client(run)
		defer end()
		if err := client.WaitGreeting(); err != nil {
			return &Failure{Networking, "logout", err}
		}
		if err := client.Logout().Wait(); err != nil {
			return &Failure{Networking, "logout", err}
		}
		return nil
	}
}

// databaseOn returns a database with a copy on a server, the active one first.
func (b Back) databaseOn(server string) (database string, ok bool) {
	copies := b.Tier().ActiveManager().Copies()
	i := slices.IndexFunc(copies, func(c backend.CopyState) bool { return c.Server == server && c.Active })
	if i < 0 {
		i = slices.IndexFunc(copies, func(c backend.CopyState) bool { return c.Server == server })
	}
	if i < 0 {
		return "", false
	}
	return copies[i].Database, true
}

// open signs in to a server, as a database's health mailbox.
func (b Back) open(ctx context.Context, run *Run, server, database string) (*backend.Link, error) {
	user, password, err := b.account(run, database)
	if err != nil {
		return nil, &Failure{Authentication, "account", err}
	}
	return b.Tier().Open(ctx, server, backend.OpenRequest{User: user, Password: password, Step: func(phase string, d time.Duration) { run.Took(phase, d) }})
}

// newOverheard makes of a connection that is signed in one that a client takes for one that needs no sign-in.
func newOverheard(ctx context.Context, link *backend.Link) *overheard {
	var conn net.Conn = link.Conn
	if link.TLS != nil {
		conn = link.TLS
	}
	o := overhear(ctx, conn, "")
	o.greeting = append([]byte("* PREAUTH [CAPABILITY IMAP4rev1] signed in\r\n"), link.Rest...)
	return o
}

// DeepTest is ImapDeepTestProbe: the database's mailbox is opened and read, on the server with the active copy.
func (b Back) DeepTest(database string) func(context.Context, *Run) error {
	return func(ctx context.Context, run *Run) error {
		server, ok := b.Tier().ActiveManager().Active(database)
		if !ok {
			return &Failure{HighAvailability, "route", errors.New("there is no active copy")}
		}
		run.Mailbox = server
		link, err := b.open(ctx, run, server, database)
		if err != nil {
			return err
		}
		defer link.Conn.Close()
		client, end := newOverheard(ctx, link).client(run)
		defer end()
		run.Step("greeting")
		if err := client.WaitGreeting(); err != nil {
			return &Failure{InformationStore, "greeting", err}
		}
		return readMailbox(client, run)
	}
}

// readMailbox opens the mailbox that a client is signed in to and reads a message of it, if it has one.
func readMailbox(client *imapclient.Client, run *Run) error {
	run.Step("select")
	selected, err := client.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return inStore(run, err)
	}
	if selected.NumMessages > 0 {
		run.Step("fetch")
		messages, err := client.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{UID: true, Flags: true, RFC822Size: true}).Collect()
		if err == nil && len(messages) == 0 {
			err = errors.New("the mailbox has messages and does not give the first")
		}
		if err != nil {
			return inStore(run, err)
		}
	}
	run.Step("logout")
	return inStore(run, client.Logout().Wait())
}

// inStore blames the mailbox for the error of a step behind a sign-in that worked.
func inStore(run *Run, err error) error {
	if err == nil {
		return nil
	}
	return &Failure{InformationStore, run.phase, err}
}
