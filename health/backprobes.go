package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"portico/backend"
	"portico/backend/secret"
	"portico/health/catalogue"
)

// Mailbox is a health mailbox: a mailbox in a database that only probes use.
type Mailbox struct {
	User     string                       // as it signs in
	Name     string                       // canonical, as the directory is asked
	Password func() (secret.Value, error) // read again each time: somebody may have changed it
}

// Back has what probes of mailbox servers need. All of it may change while probes run.
type Back struct {
	Tier    func() *backend.Tier
	Mailbox func(database string) (Mailbox, bool)
	// Read is told that a probe has read a mailbox of a database on a server; nil tells nobody. It may block.
	Read func(ctx context.Context, database, server string)
	// Writers of the probes of all plans; nil has one for each DeepTest.
	Writers *Writers
}

// account is whom a run signs in as.
type account struct {
	user, name string
	password   secret.Value
}

// account returns the account given for a run by hand, or the database's health mailbox.
func (b Back) account(run *Run, database string) (a account, err error) {
	if run.Account != "" {
		run.signedIn = run.Account
		return account{run.Account, run.Account, secret.Value(run.Password)}, nil
	}
	m, ok := b.Mailbox(database)
	if !ok {
		return a, fmt.Errorf("database %s has no health mailbox: set health.mailboxes", database)
	}
	a, run.signedIn = account{user: m.User, name: m.Name}, m.User
	a.password, err = m.Password()
	return a, err
}

// SelfTest is ImapSelfTestProbe: the server answers and accepts a sign-in. It opens no mailbox. Without a health
// mailbox, the server must only answer.
func (b Back) SelfTest(server string) func(context.Context, *Run) error {
	return func(ctx context.Context, run *Run) error {
		run.Mailbox = server
		database, ok := b.databaseOn(server)
		if !ok && run.Account == "" {
			run.Step("answer")
			return b.Tier().Check(ctx, server)
		}
		link, err := b.open(ctx, run, server, database)
		if err != nil {
			return err
		}
		defer link.Conn.Close()
		run.Step("logout")
		o := signedInConn(ctx, link)
		client, end := o.client(run)
		defer end()
		err = o.awaitGreeting(client)
		if err == nil {
			err = client.Logout().Wait()
		}
		if err != nil {
			return &Failure{Networking, "logout", err}
		}
		return nil
	}
}

// databaseOn returns a database with a copy on a server and a health mailbox, preferably an active copy.
func (b Back) databaseOn(server string) (database string, ok bool) {
	for _, c := range b.Tier().ActiveManager().Copies() {
		if _, has := b.Mailbox(c.Database); c.Server == server && has && (c.Active || !ok) {
			database, ok = c.Database, true
		}
	}
	return database, ok
}

// open signs in to a server, as a database's health mailbox.
func (b Back) open(ctx context.Context, run *Run, server, database string) (*backend.Link, error) {
	a, err := b.account(run, database)
	if err != nil {
		return nil, failure(Authentication, "account", err)
	}
	link, err := b.Tier().Open(ctx, server, backend.OpenRequest{User: a.user, Password: a.password,
		Step: func(phase string, d time.Duration) { run.Took(phase, d) }})
	if err != nil {
		return nil, b.explain(ctx, run, a, database, server, err)
	}
	return link, nil
}

// signedInConn returns a probe's connection for a signed-in Link. Its greeting says that no sign-in is needed.
func signedInConn(ctx context.Context, link *backend.Link) *probeConn {
	var conn net.Conn = link.Conn
	if link.TLS != nil {
		conn = link.TLS
	}
	o := newProbeConn(ctx, conn, "")
	o.greeting = append([]byte("* PREAUTH [CAPABILITY IMAP4rev1] signed in\r\n"), link.Rest...)
	return o
}

// DeepTest is ImapDeepTestProbe: the database's mailbox is opened and read, on the server with the active copy. With
// writes, some runs also write there; see mailboxWriter.
func (b Back) DeepTest(database string, writes bool) func(context.Context, *Run) error {
	w := b.Writers.of(database)
	return func(ctx context.Context, run *Run) error {
		server, ok := b.Tier().ActiveManager().Active(database)
		if !ok {
			return &Failure{HighAvailability, "route", errors.New("there is no active copy")}
		}
		if !writes || !w.due(run) {
			return b.readOn(ctx, run, database, server, nil)
		}
		return b.readOn(ctx, run, database, server, w)
	}
}

// CopyTest is ImapCopyTestProbe: DeepTest of a copy that is not active, where the health mailbox can be read there. It
// has nothing to look at while the copy is active.
func (b Back) CopyTest(database, server string) func(context.Context, *Run) error {
	return func(ctx context.Context, run *Run) error {
		if active, ok := b.Tier().ActiveManager().Active(database); !ok || active == server {
			return ErrNoSample
		}
		return b.readOn(ctx, run, database, server, nil)
	}
}

// ReadCopy reads the mail of a database's copy on a server, active or not, as DeepTest does. No monitor gets the
// result.
func (b Back) ReadCopy(ctx context.Context, database, server string, timeout time.Duration) error {
	b.Read = nil
	probe := &Probe{HealthSet: catalogue.SetProtocol,
		Name: catalogue.ImapCopyTestProbe, Target: CopyTarget(database, server),
		Run: func(ctx context.Context, run *Run) error {
			return b.readOn(ctx, run, database, server, nil)
		}}
	result := probe.execute(ctx, timeout, time.Now, new(Run))
	if result == nil || result.Type == Succeeded {
		return nil
	}
	return errors.New(result.Err)
}

// readOn opens and reads a database's mailbox on a server, and has w write there; nil writes nothing.
func (b Back) readOn(ctx context.Context, run *Run, database, server string, w *mailboxWriter) error {
	run.Mailbox = server
	link, err := b.open(ctx, run, server, database)
	if err != nil {
		return err
	}
	defer link.Conn.Close()
	o := signedInConn(ctx, link)
	client, end := o.client(run)
	defer end()
	run.Step("open")
	if err := o.awaitGreeting(client); err != nil {
		return inStore(run, err)
	}
	err = readMailbox(o, client, run, w)
	if err == nil && b.Read != nil {
		b.Read(ctx, database, server)
	}
	return err
}

// readMailbox opens the mailbox that a client is signed in to, reads a message of it, if it has one, and signs out.
// Before it signs out, w writes there; nil writes nothing. A run that writes opens the mailbox for that, since Courier
// takes no message for a mailbox that is open read-only.
func readMailbox(o *probeConn, client *imapclient.Client, run *Run, w *mailboxWriter) error {
	run.Step("select")
	selected, err := client.Select("INBOX", &imap.SelectOptions{ReadOnly: w == nil}).Wait()
	if err != nil {
		return inStore(run, err)
	}
	var fetch *imapclient.FetchCommand
	var logout *imapclient.Command
	run.Step("fetch")
	err = o.together(func() {
		if selected.NumMessages > 0 {
			fetch = client.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{UID: true, Flags: true, RFC822Size: true})
		}
		if w == nil {
			logout = client.Logout()
		}
	})
	if err == nil && fetch != nil {
		var messages []*imapclient.FetchMessageBuffer
		if messages, err = fetch.Collect(); err == nil && len(messages) == 0 {
			err = errors.New("the mailbox has messages but does not return the first")
		}
	}
	if err != nil {
		return inStore(run, err)
	}
	if w != nil {
		if err := w.write(client, run); err != nil {
			return inStore(run, err)
		}
		logout = client.Logout()
	}
	run.Step("logout")
	return inStore(run, logout.Wait())
}

// inStore blames the mailbox for the error of a step after a successful sign-in.
func inStore(run *Run, err error) error {
	if err == nil {
		return nil
	}
	return &Failure{InformationStore, run.phase, err}
}
