package e2e

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/proxy"
)

// bigMail is the size of the largest message that the clients move: more than all buffers on its way hold.
const bigMail = 12 << 20

// A session of go-imap's client against Dovecot, by each way in.
func TestGoIMAP(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			compressing.need(t)
			mode := backend.TLSNone
			if w.tls != proxy.TLSNone {
				mode = backend.TLSImplicit
			}
			f := startFrontEnd(t, options{servers: compressing.behind(mode)})
			user := compressing.user(t, 3)
			news := make(chan uint32, 100)
			c := dialGoIMAP(t, f, w, news)
			must(t, c.Login(user, password).Wait())
			checkMailbox(t, c)
			checkAppend(t, c, []byte("Subject: small\r\n\r\nText\r\n"))
			checkAppend(t, c, bytes.Repeat([]byte("Subject: big mail, all of it header lines\r\n"), bigMail/43))
			checkIdle(t, c, news, func() { compressing.deliver(t, user, 9) })
			must(t, c.Logout().Wait())
			f.gone()
			if got := f.metric("portico_command_results_total", "command", "APPEND", "server", "mbx1", "result",
				"ok"); got != 2 {
				t.Errorf("%v appends counted", got)
			}
			if n := f.metric("portico_sessions_unjudged"); n != 0 {
				t.Errorf("%v sessions not judged", n)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dialGoIMAP connects by a way. The number of messages in the mailbox is told whenever the server tells it.
func dialGoIMAP(t *testing.T, f *frontEnd, w way, news chan<- uint32) *imapclient.Client {
	t.Helper()
	dial := map[proxy.TLSMode]func(string, *imapclient.Options) (*imapclient.Client, error){
		proxy.TLSNone: imapclient.DialInsecure, proxy.TLSStartTLS: imapclient.DialStartTLS,
		proxy.TLSImplicit: imapclient.DialTLS,
	}[w.tls]
	c, err := dial(w.address(f), &imapclient.Options{
		TLSConfig: f.trust,
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(m *imapclient.UnilateralDataMailbox) {
			if m.NumMessages != nil {
				news <- *m.NumMessages
			}
		}},
	})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func checkMailbox(t *testing.T, c *imapclient.Client) {
	t.Helper()
	list, err := c.List("", "*", nil).Collect()
	if err != nil || len(list) == 0 {
		t.Fatalf("list: %v, %v", list, err)
	}
	inbox, err := c.Select("INBOX", nil).Wait()
	if err != nil || inbox.NumMessages != 3 {
		t.Fatalf("select: %v, %v", inbox, err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject",
		Value: "number 1"}}}, nil).Wait()
	if err != nil || len(found.AllUIDs()) != 1 {
		t.Fatalf("search: %v, %v", found, err)
	}
	whole := &imap.FetchItemBodySection{}
	mail, err := c.Fetch(imap.SeqSetNum(1, 2, 3),
		&imap.FetchOptions{Envelope: true, UID: true, BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	must(t, err)
	for n, m := range mail {
		if !bytes.Equal(m.FindBodySection(whole), testMessage(n)) {
			t.Errorf("message %d came as %q", n, m.FindBodySection(whole))
		}
	}
}

// checkAppend appends a message, fetches it and compares.
func checkAppend(t *testing.T, c *imapclient.Client, message []byte) {
	t.Helper()
	cmd := c.Append("INBOX", int64(len(message)), nil)
	_, err := io.Copy(cmd, bytes.NewReader(message))
	must(t, err)
	must(t, cmd.Close())
	data, err := cmd.Wait()
	must(t, err)
	whole := &imap.FetchItemBodySection{Peek: true}
	mail, err := c.Fetch(imap.UIDSetNum(data.UID),
		&imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{whole}}).Collect()
	must(t, err)
	if len(mail) != 1 || !bytes.Equal(mail[0].FindBodySection(whole), message) {
		t.Errorf("a message of %d bytes came back as another", len(message))
	}
}

// checkIdle waits in IDLE for the news of a delivery.
func checkIdle(t *testing.T, c *imapclient.Client, news <-chan uint32, deliver func()) {
	t.Helper()
	before := c.Mailbox().NumMessages
	idle, err := c.Idle()
	must(t, err)
	deliver()
	timeout := time.After(testkit.Patience)
	for told := before; told <= before; {
		select {
		case told = <-news:
		case <-timeout:
			t.Fatal("no news while in IDLE")
		}
	}
	must(t, idle.Close())
	must(t, idle.Wait())
}
