package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"portico/backend"
	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// password is everybody's.
const password = "open-sesame"

// users is how many mailboxes the real servers have. Each test takes new ones.
const users = 1000

// realServer is a Dovecot that all tests share; it starts with the first that needs it.
type realServer struct {
	simple bool // it does not offer COMPRESS

	once   sync.Once
	server *backendtest.Dovecot
	ca     *backendtest.CA
	err    error
	taken  atomic.Int32 // users
}

// The real servers. One offers COMPRESS, as most do; with it Portico ends a session that it cannot follow. The other
// offers nothing that has to be intercepted.
var (
	compressing = &realServer{}
	simple      = &realServer{simple: true}
)

func TestMain(m *testing.M) {
	if task := os.Getenv(silentClients); task != "" {
		if err := beSilent(task); err != nil {
			fmt.Fprintln(os.Stderr, "silent clients:", err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	for _, r := range []*realServer{compressing, simple} {
		if r.server != nil {
			r.server.Stop()
		}
	}
	cyrus.stop()
	courier.stop()
	os.Exit(code)
}

// need starts the server if no test has yet, and skips the test where there is no Dovecot. From here on the test must
// leave nothing behind.
func (r *realServer) need(t *testing.T) {
	t.Helper()
	testkit.Need(t, "dovecot")
	r.once.Do(r.start)
	if r.err != nil {
		t.Fatal(r.err)
	}
	testkit.NoLeaks(t)
}

func (r *realServer) start() {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	ca, err := backendtest.NewCA("Mailbox server test CA")
	if err != nil {
		r.err = err
		return
	}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		r.err = err
		return
	}
	o := backendtest.DovecotOptions{Certificate: cert, QuickFailures: true, NoCompress: r.simple}
	for i := range users {
		o.Users = append(o.Users, backendtest.User{Name: userName(i), Password: password})
	}
	r.ca = ca
	r.server, r.err = backendtest.StartDovecot(ctx, o)
}

// userName returns names of the same length.
func userName(i int) string { return fmt.Sprintf("user%03d", i) }

// user returns a user whom no other test has, with some mail.
func (r *realServer) user(t *testing.T, messages int) string {
	t.Helper()
	i := int(r.taken.Add(1)) - 1
	if i >= users {
		t.Fatal("out of users")
	}
	for n := range messages {
		r.deliver(t, userName(i), n)
	}
	return userName(i)
}

// deliver puts the n-th of the test messages in a user's INBOX.
func (r *realServer) deliver(t *testing.T, user string, n int) {
	t.Helper()
	if err := r.server.AddMail(user, "", testMessage(n)); err != nil {
		t.Fatal(err)
	}
}

// testMessage returns a message that tells its number.
func testMessage(n int) []byte {
	return []byte(strings.ReplaceAll(fmt.Sprintf(`From: Ada <ada@example.org>
To: Bob <bob@example.org>
Subject: Message number %d
Date: Mon, 5 Jan 2026 12:00:00 +0000
Message-ID: <%d@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=part

--part
Content-Type: text/plain

Text of message %d.
--part
Content-Type: text/html

<p>Another text, {12}
and a line that ends like a literal {3+}
--part--
`, n, n, n), "\n", "\r\n"))
}

func (r *realServer) address() string { return r.server.Plain }

// behind returns the server as the front end's only one.
func (r *realServer) behind(mode backend.TLSMode) []backend.ServerOptions {
	address := r.server.Plain
	if mode == backend.TLSImplicit {
		address = r.server.TLS
	}
	return []backend.ServerOptions{{Name: "mbx1", Addresses: []string{address}, TLS: mode,
		TLSConfig: r.ca.ClientConfig("127.0.0.1")}}
}
