package backendtest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

// jailed is a server that runs in a root of its own.
type jailed interface {
	Start(context.Context) error
	Stop() error
	Close() error
	AddUsers(...backendtest.User) error
}

// A jailed server holds mail, tells right from wrong passwords, takes users while it runs, starts again, and leaves
// nothing behind.
func TestJailed(t *testing.T) {
	testkit.NoLeaks(t)
	mail := func(other string) backendtest.User {
		return backendtest.User{Name: "ann@example.org", Password: "secret", Mail: []backendtest.Mail{
			{Message: []byte("Subject: first\r\n\r\nText\r\n")},
			{Mailbox: other, Message: []byte("Subject: second\r\n\r\nText\r\n")},
		}}
	}
	bob := backendtest.User{Name: "bob", Password: "builder"}
	t.Run("Courier", func(t *testing.T) {
		c := testkit.Courier(t, mail("INBOX.Other"), bob)
		holdsMail(t, c, c.Daemon, "INBOX.Other")
	})
	t.Run("Cyrus", func(t *testing.T) {
		c := testkit.Cyrus(t, mail("INBOX/Other"), bob)
		holdsMail(t, c, c.Daemon, "INBOX/Other")
	})
}

func holdsMail(t *testing.T, server jailed, d *backendtest.Daemon, other string) {
	if err := server.AddUsers(backendtest.User{Name: "carol@example.org", Password: "new"}); err != nil {
		t.Fatal(err)
	}
	signIn := func(user, password string) *testkit.Conn {
		c := testkit.Dial(t, d.Address, nil)
		c.Expect("* OK *")
		c.Command("a", "LOGIN "+user+" "+password)
		return c
	}
	c := signIn("ann@example.org", "secret")
	for _, mailbox := range []string{"INBOX", other} {
		if lines := strings.Join(c.Command("b", "SELECT "+mailbox), "\n"); !strings.Contains(lines, "* 1 EXISTS") {
			t.Errorf("%s: %s", mailbox, lines)
		}
	}
	c.Command("c", "LOGOUT")
	signIn("carol@example.org", "new").Command("b", "LOGOUT")
	wrong := testkit.Dial(t, d.Address, nil)
	wrong.Expect("* OK *")
	wrong.Send("a LOGIN ann@example.org wrong")
	wrong.Expect("a NO *")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(testkit.Context(t)); err != nil {
		t.Fatal(err)
	}
	signIn("bob", "builder").Command("b", "LOGOUT")
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder: %v", err)
	}
}
