package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// health1 signs in, by the library alone.
func health1(t *testing.T, addr string) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-c.Closed()
	})
	if err := c.Login("health1", "sesame").Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

// leave puts a message into INBOX that has been there since then.
func leave(t *testing.T, c *imapclient.Client, subject string, since time.Time) {
	t.Helper()
	message := "Subject: " + subject + "\r\n\r\nhello\r\n"
	a := c.Append("INBOX", int64(len(message)), &imap.AppendOptions{Time: since})
	_, err := a.Write([]byte(message))
	if err = errors.Join(err, a.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(); err != nil {
		t.Fatal(err)
	}
}

// subjects lists what lies in INBOX.
func subjects(t *testing.T, c *imapclient.Client) string {
	t.Helper()
	selected, err := c.Select("INBOX", nil).Wait()
	if err != nil || selected.NumMessages == 0 {
		t.Fatal(err, selected)
	}
	var all imap.SeqSet
	all.AddRange(1, selected.NumMessages)
	messages, err := c.Fetch(all, &imap.FetchOptions{Envelope: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range messages {
		found = append(found, m.Envelope.Subject)
	}
	return strings.Join(found, ", ")
}

// steps of a run, with a space between them.
func steps(run *Run) string {
	var names []string
	for _, s := range run.Steps() {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

// A test of any server signs in, leaves a message, finds and deletes it, and deletes what earlier tests have left, but
// not what one may be looking for now, and nobody's mail.
func TestConnectivity(t *testing.T) {
	testkit.NoLeaks(t)
	server, client := testkit.TLS(t)
	for _, caps := range []imap.CapSet{nil, {imap.CapIMAP4rev1: {}}} {
		m, err := backendtest.NewMemory(backendtest.MemoryOptions{
			Users: []backendtest.User{{Name: "health1", Password: "sesame"}}, TLSConfig: server, Caps: caps,
		})
		if err != nil {
			t.Fatal(err)
		}
		c := Connectivity{Address: testkit.Serve(t, m), User: "health1", Password: "sesame", TLS: client}
		user := health1(t, c.Address)
		long := time.Now().Add(-72 * time.Hour)
		leave(t, user, "hello", long)
		leave(t, user, testSubject+" SOMEBODY 1", long)
		leave(t, user, testSubject+" SOMEBODY 2", time.Now())
		leave(t, user, writeSubject+" SOMEBODY 3", long)
		const kept = "hello, " + testSubject + " SOMEBODY 2, " + writeSubject + " SOMEBODY 3"
		for _, cell := range []struct {
			startTLS, light bool
			want            string
		}{
			{false, true, "connect greeting logon logout"},
			{false, false, "connect greeting logon append select search delete logout"},
			{true, false, "connect tls greeting logon append select search delete logout"},
		} {
			c.StartTLS, c.Light = cell.startTLS, cell.light
			var run Run
			if err := c.Test(testkit.Context(t), &run); err != nil || steps(&run) != cell.want {
				t.Errorf("%+v: %v after %s", cell, err, steps(&run))
			}
			if got := subjects(t, user); (got == kept) == cell.light {
				t.Errorf("%+v: INBOX has %s", cell, got)
			}
		}
	}
}

// Each step of a test may fail, and ends it.
func TestConnectivityFails(t *testing.T) {
	testkit.NoLeaks(t)
	for _, cell := range []struct{ script, want, words string }{
		{"close", "connect greeting", "before greeting"},
		{"S: * BYE full\nclose", "connect greeting", "full"},
		{hello + "C: ${tag} LOGIN *\nS: ${tag} NO wrong\neof", "connect greeting logon", "wrong"},
		{hello + "C: ${tag} LOGIN *\nS: ${tag} OK [CAPABILITY IMAP4rev1] in\nC: ${tag} APPEND *\nS: ${tag} " +
			"NO full\neof", "connect greeting logon append", "full"},
		{hello + "C: ${tag} LOGIN *\nclose", "connect greeting logon", "EOF"},
	} {
		s := testkit.Scripted(t, nil, cell.script)
		var run Run
		c := Connectivity{Address: s.Addr(), User: "health1", Password: "sesame"}
		if err := c.Test(testkit.Context(t), &run); err == nil || !strings.Contains(err.Error(), cell.words) ||
			steps(&run) != cell.want {
			t.Errorf("%q: %v after %s", cell.script, err, steps(&run))
		}
	}
	var run Run
	if err := (Connectivity{Address: "127.0.0.1:1"}).Test(t.Context(), &run); err == nil || steps(&run) != "connect" {
		t.Errorf("a closed port: %v after %s", err, steps(&run))
	}
	_, client := testkit.TLS(t)
	stranger := distrusted(t, listenerCertificate(t, -time.Hour, time.Hour))
	run = Run{}
	err := (Connectivity{Address: stranger.Addr(), Implicit: true, TLS: client,
		Password: "sesame"}).Test(testkit.Context(t), &run)
	if err == nil || steps(&run) != "connect tls" {
		t.Errorf("a certificate of another authority: %v after %s", err, steps(&run))
	}
}

// A test ends with its context, wherever it is.
func TestConnectivityEnds(t *testing.T) {
	testkit.NoLeaks(t)
	for _, script := range []string{"stall", hello + "C: ${tag} LOGIN *\nmark asked\nstall", "stall tls"} {
		c := Connectivity{User: "health1", Password: "sesame", Implicit: script == "stall tls", TLS: new(tls.Config)}
		s := testkit.Scripted(t, nil, strings.TrimSuffix(script, " tls"))
		c.Address = s.Addr()
		ctx, cancel := context.WithCancel(testkit.Context(t))
		done := make(chan error, 1)
		var run Run
		go func() { done <- c.Test(ctx, &run) }()
		testkit.Eventually(t, "it is connected", func() bool { return s.Conns() == 1 })
		if strings.Contains(script, "mark") {
			if err := s.Reached(testkit.Context(t), "asked"); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%q: it succeeded", script)
			}
		case <-time.After(testkit.Patience):
			t.Fatalf("%q: it goes on", script)
		}
	}
}

// What is kept of a dialogue is its last line each way, without the password, in 200 bytes at most.
func TestOverheard(t *testing.T) {
	o := &probeConn{password: "sesame"}
	for _, cell := range []struct{ heard, want string }{
		{"* OK hello\r\n", "* OK hello"},
		{"T1 NO no", "* OK hello"},
		{" sesame for you\r\n", "T1 NO no ***** for you"},
		{"one\r\ntwo\r\nthr", "two"},
		{"ee\n", "three"},
		{strings.Repeat("x", 150), "three"},
		{strings.Repeat("y", 150) + "\r\nlast", strings.Repeat("x", 150) + strings.Repeat("y", 50)},
		{"\n", "last"},
		{strings.Repeat("z", 300) + "\n", strings.Repeat("z", 200)},
	} {
		if o.keepLine([]byte(cell.heard)); o.received != cell.want || len(o.partial) > maxLine {
			t.Errorf("%q: %q, want %q", cell.heard, o.received, cell.want)
		}
	}
	if o.keepLine(make([]byte, 10*maxLine)); len(o.partial) != maxLine {
		t.Errorf("%d bytes of a line are kept", len(o.partial))
	}
	if (&probeConn{}).clean([]byte("a b")) != "a b" {
		t.Error("without a password something is starred")
	}
	near, far := net.Pipe()
	defer far.Close()
	o = newProbeConn(t.Context(), near, "sesame")
	defer o.Close()
	packets := make(chan string, 3)
	go func() {
		buffer := make([]byte, 1000)
		for range 2 {
			n, _ := far.Read(buffer)
			packets <- string(buffer[:n])
		}
	}()
	if err := o.together(func() {}); err != nil {
		t.Error(err)
	}
	if err := o.together(func() {
		fmt.Fprintf(o, "T1 LOGIN anna sesame\r\n")
		fmt.Fprintf(o, "T2 logout\r\n")
	}); err != nil || <-packets != "T1 LOGIN anna sesame\r\nT2 logout\r\n" {
		t.Errorf("two commands are not one packet: %v", err)
	}
	if !strings.HasPrefix(o.sent, "LOGIN ") || !strings.HasSuffix(o.sent, "; LOGOUT") || strings.Contains(o.sent,
		"sesame") {
		t.Errorf("kept %q", o.sent)
	}
	fmt.Fprintf(o, "T3 NOOP\r\n")
	if got := <-packets; got != "T3 NOOP\r\n" || o.sent != "NOOP" {
		t.Errorf("sent %q, kept %q", got, o.sent)
	}
}
