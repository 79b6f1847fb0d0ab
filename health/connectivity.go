package health

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"portico/backend/secret"
)

// Connectivity is what Test-ImapConnectivity does (docs/exchange.md): it signs in to any IMAP server as a test
// user, and unless it is to be light, leaves a message, finds it, and deletes it and those that earlier tests have
// left.
type Connectivity struct {
	Address  string      // host:port
	Implicit bool        // TLS from the first byte
	StartTLS bool        // TLS by STARTTLS
	TLS      *tls.Config // verification is its business
	User     string
	Password secret.Value
	Light    bool
}

// testSubject marks the messages of tests. leftAfter is when one that was left is old.
const (
	testSubject  = "Portico connectivity test"
	writeSubject = "Portico deep test" // of ImapDeepTestProbe
	leftAfter    = 24 * time.Hour
)

// Test runs the test and notes its steps on the run. It ends with the context.
func (c Connectivity) Test(ctx context.Context, run *Run) error {
	if run.now == nil {
		run.now = time.Now
	}
	defer func() {
		run.end()
		run.phase = ""
	}()
	run.Step("connect")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if c.Implicit || c.StartTLS {
		run.Step("tls")
		if conn, err = secured(ctx, conn, c.StartTLS, c.TLS); err != nil {
			return err
		}
	}
	o := newProbeConn(ctx, conn, c.Password)
	if c.StartTLS {
		o.greeting = []byte("* OK behind STARTTLS\r\n")
	}
	client, end := o.client(run)
	defer end()
	run.Step("greeting")
	if err := o.awaitGreeting(client); err != nil {
		return err
	}
	run.Step("logon")
	if err := client.Login(c.User, c.Password.Reveal()).Wait(); err != nil {
		return err
	}
	if !c.Light {
		if err := exchange(client, run, testSubject, rand.Text()); err != nil {
			return err
		}
	}
	run.Step("logout")
	return client.Logout().Wait()
}

// exchange leaves a message in INBOX, finds it, and deletes it, those that this sender has left before, and those of
// the same kind that are old.
func exchange(client *imapclient.Client, run *Run, kind, sender string) error {
	now := run.now()
	subject := fmt.Sprintf("%s %s %d", kind, sender, now.UnixNano())
	message := fmt.Sprintf("Subject: %s\r\nDate: %s\r\nFrom: <portico@localhost>\r\nContent-Type: "+
		"text/plain\r\n\r\n%s.\r\n", subject, now.Format(time.RFC1123Z), kind)
	run.Step(PhaseAppend)
	left := client.Append("INBOX", int64(len(message)), nil)
	_, err := left.Write([]byte(message))
	err = errors.Join(err, left.Close())
	if err == nil {
		_, err = left.Wait()
	}
	if err != nil {
		return err
	}
	run.Step("select")
	if _, err := client.Select("INBOX", nil).Wait(); err != nil {
		return err
	}
	run.Step("search")
	gone, err := messagesWith(client, subject, time.Time{})
	if err != nil {
		return err
	}
	if len(gone) == 0 {
		return errors.New("the stored test message was not found")
	}
	for _, left := range []struct {
		subject string
		before  time.Time
	}{{kind + " " + sender, time.Time{}}, {kind, now.Add(-leftAfter)}} {
		uids, err := messagesWith(client, left.subject, left.before)
		if err != nil {
			return err
		}
		gone.AddSet(uids)
	}
	run.Step("delete")
	if err := client.Store(gone, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true,
		Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		return err
	}
	if client.Caps().Has(imap.CapUIDPlus) {
		return client.UIDExpunge(gone).Close()
	}
	return client.Expunge().Close()
}

// messagesWith finds messages by a part of their subject, and with before those that are older than that day.
func messagesWith(client *imapclient.Client, subject string, before time.Time) (imap.UIDSet, error) {
	found, err := client.UIDSearch(&imap.SearchCriteria{
		Before: before, Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: subject}},
	}, nil).Wait()
	if err != nil {
		return nil, err
	}
	return imap.UIDSetNum(found.AllUIDs()...), nil
}

// Steps returns what the run has done so far, each step with its latency.
func (r *Run) Steps() []Step { return r.steps }
