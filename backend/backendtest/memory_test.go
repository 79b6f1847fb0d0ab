package backendtest_test

import (
	"crypto/tls"
	"encoding/base64"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

func listening(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func newMemory(t *testing.T, config *tls.Config) *backendtest.Memory {
	t.Helper()
	m, err := backendtest.NewMemory(backendtest.MemoryOptions{
		Name: "mbx1",
		Users: []backendtest.User{
			{Name: "alice", Password: "demo", Mail: backendtest.DemoMail("alice", "mbx1", time.Now())},
			{Name: "bob", Password: "secret"},
		},
		Masters:   map[string]string{"boss": "key"},
		TLSConfig: config,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemoryClient(t *testing.T) {
	testkit.NoLeaks(t)
	server, client := testkit.TLS(t)
	m := newMemory(t, server)
	addr := testkit.Serve(t, m)

	news := make(chan uint32, 1)
	c, err := imapclient.DialStartTLS(addr, &imapclient.Options{
		TLSConfig: client,
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				news <- *d.NumMessages
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("alice", "demo").Wait(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []imap.Cap{imap.CapIMAP4rev1, imap.CapIMAP4rev2, imap.CapLiteralPlus, imap.CapIdle,
		imap.CapMove} {
		if !c.Caps().Has(want) {
			t.Errorf("no %s among the capabilities %v", want, c.Caps())
		}
	}
	selected, err := c.Select("INBOX", nil).Wait()
	if err != nil || selected.NumMessages < 4 {
		t.Fatalf("select: %+v, %v", selected, err)
	}
	checkMail(t, c)
	idle, err := c.Idle()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Deliver("alice", "INBOX", []byte(hello)); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-news:
		if n != selected.NumMessages+1 {
			t.Errorf("the server announced %d messages, want %d", n, selected.NumMessages+1)
		}
	case <-time.After(testkit.Patience):
		t.Error("IDLE was not woken by a delivery")
	}
	if err := idle.Close(); err != nil {
		t.Error(err)
	}
	if got, want := m.SignedIn(), map[string]int{"alice": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("signed in: %v, want %v", got, want)
	}
}

func checkMail(t *testing.T, c *imapclient.Client) {
	t.Helper()
	body := &imap.FetchItemBodySection{Peek: true}
	all := imap.SeqSet{{Start: 1, Stop: 0}}
	messages, err := c.Fetch(all, &imap.FetchOptions{Envelope: true,
		BodySection: []*imap.FetchItemBodySection{body}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range messages {
		text := string(msg.FindBodySection(body))
		if msg.Envelope.Subject == "" || msg.Envelope.Date.IsZero() || len(msg.Envelope.From) != 1 ||
			msg.Envelope.MessageID == "" {
			t.Errorf("message %d has a poor envelope: %+v", msg.SeqNum, msg.Envelope)
		}
		if strings.Count(text, "\n") != strings.Count(text, "\r\n") || !strings.HasPrefix(text, "Received: by mbx1;") {
			t.Errorf("message %d: %q", msg.SeqNum, text)
		}
	}
}

func TestMemorySignIn(t *testing.T) {
	testkit.NoLeaks(t)
	addr := testkit.Serve(t, newMemory(t, nil))
	plain := func(s string) string {
		return "AUTHENTICATE PLAIN " + base64.StdEncoding.EncodeToString([]byte(s))
	}
	tests := []struct{ command, answer string }{
		{"LOGIN bob secret", "a OK *"},
		{"LOGIN bob wrong", "a NO [AUTHENTICATIONFAILED] *"},
		{"LOGIN nobody secret", "a NO [AUTHENTICATIONFAILED] *"},
		{`LOGIN "bob*boss"` + " key", "a OK *"},
		{`LOGIN "bob*boss"` + " wrong", "a NO *"},
		{`LOGIN "nobody*boss"` + " key", "a NO *"},
		{"LOGIN boss key", "a NO *"},
		{plain("\x00bob\x00secret"), "a OK *"},
		{plain("bob\x00bob\x00secret"), "a OK *"},
		{plain("bob\x00boss\x00key"), "a OK *"},
		{plain("bob\x00boss\x00wrong"), "a NO *"},
		{plain("bob\x00alice\x00demo"), "a NO *"},
		{"AUTHENTICATE CRAM-MD5", "a NO *"},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			c := testkit.Dial(t, addr, nil)
			c.Expect("* OK [CAPABILITY *AUTH=PLAIN] *")
			c.Send("a " + tt.command)
			c.Expect(tt.answer)
		})
	}
}

func TestMemoryCloseEndsSessions(t *testing.T) {
	testkit.NoLeaks(t)
	m := newMemory(t, nil)
	ln := testkit.Listen(t)
	done := make(chan error, 1)
	go func() { done <- m.Serve(ln) }()
	c := testkit.Dial(t, ln.Addr().String(), nil)
	c.Expect("* OK *")
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.ExpectEOF()
}
