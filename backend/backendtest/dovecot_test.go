package backendtest_test

import (
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"portico/backend/backendtest"
	"portico/backend/backendtest/testkit"
)

const hello = "From: a@example.org\r\nSubject: hello\r\n\r\nHello.\r\n"

func TestDovecot(t *testing.T) {
	testkit.NoLeaks(t)
	ca := newCA(t)
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	d := testkit.Dovecot(t, backendtest.DovecotOptions{
		Users: []backendtest.User{{
			Name: "alice@example.org", Password: "demo",
			Mail: []backendtest.Mail{{Message: []byte(hello)}, {Mailbox: "Archive", Message: []byte(hello)}},
		}},
		Masters:     map[string]string{"boss": "key"},
		Certificate: cert,
	})
	t.Run("STARTTLS, COMPRESS and mail", func(t *testing.T) {
		c := testkit.Dial(t, d.Plain, nil)
		c.Expect("* OK [CAPABILITY IMAP4rev1 *STARTTLS*AUTH=PLAIN AUTH=LOGIN*")
		c.Command("a", "STARTTLS")
		c.StartTLS(ca.ClientConfig("127.0.0.1"))
		c.Send("b LOGIN alice@example.org demo")
		c.Expect("b OK *COMPRESS=DEFLATE*")
		wantLine(t, c.Command("c", "SELECT Archive"), "* 1 EXISTS")
		wantLine(t, c.Command("d", "SELECT INBOX"), "* 1 EXISTS")
		c.Send("e IDLE")
		c.Expect("+ *")
		if err := d.AddMail("alice@example.org", "", []byte(hello)); err != nil {
			t.Fatal(err)
		}
		c.Expect("* 2 EXISTS")
	})
	t.Run("TLS, master and wrong password", func(t *testing.T) {
		c := testkit.Dial(t, d.TLS, ca.ClientConfig("127.0.0.1"))
		c.Expect("* OK *")
		c.Send("a LOGIN alice@example.org wrong")
		c.Expect("a NO [AUTHENTICATIONFAILED] *")
		plain := base64.StdEncoding.EncodeToString([]byte("alice@example.org\x00boss\x00key"))
		c.Send("b AUTHENTICATE PLAIN " + plain)
		c.Expect("b OK *")
	})
}

func TestDovecotStop(t *testing.T) {
	testkit.NoLeaks(t)
	testkit.Need(t, "dovecot")
	d, err := backendtest.StartDovecot(testkit.Context(t), backendtest.DovecotOptions{
		Users: []backendtest.User{{Name: "bob", Password: "demo"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()
	c := testkit.Dial(t, d.Plain, nil)
	c.Expect("* OK *")
	c.Command("a", "LOGIN bob demo")
	if !d.Alive() {
		t.Error("a running dovecot is said to be dead")
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if d.Alive() {
		t.Error("processes are left after Stop")
	}
	if _, err := os.Stat(d.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder is left after Stop: %v", err)
	}
	if err := d.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

// A test that panics runs no cleanup worth relying on: Dovecot must go with the process.
func TestDovecotEndsWithItsParent(t *testing.T) {
	const role = "BACKENDTEST_DIE_WITH_DOVECOT"
	testkit.Need(t, "dovecot")
	if os.Getenv(role) != "" {
		d, err := backendtest.StartDovecot(t.Context(), backendtest.DovecotOptions{})
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("\naddress " + d.Plain + "\nfolder " + d.Dir + "\n")
		os.Exit(7) // as abrupt as a panic
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDovecotEndsWithItsParent$")
	cmd.Env = append(os.Environ(), role+"=1")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("child: %v\n%s", err, out)
	}
	defer os.RemoveAll(wordAfter(string(out), "\nfolder "))
	addr := wordAfter(string(out), "\naddress ")
	testkit.Eventually(t, "nobody listens on "+addr, func() bool { return !listening(addr) })
}

func TestDovecotBadConfiguration(t *testing.T) {
	testkit.NoLeaks(t)
	testkit.Need(t, "dovecot")
	_, err := backendtest.StartDovecot(testkit.Context(t), backendtest.DovecotOptions{Extra: "no_such_setting = 1\n"})
	if err == nil || !strings.Contains(err.Error(), "start dovecot") {
		t.Errorf("start with a bad configuration: %v", err)
	}
}

func wordAfter(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	word, _, _ := strings.Cut(rest, "\n")
	return word
}

func wantLine(t *testing.T, lines []string, pattern string) {
	t.Helper()
	for _, line := range lines {
		if testkit.Match(pattern, line) {
			return
		}
	}
	t.Errorf("no line like %q in %q", pattern, lines)
}
