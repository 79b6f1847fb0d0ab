package e2e

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Courier's answer to a sign-in lists no capabilities. Clients get Courier's own list all the same, which has no
// LITERAL+.
func TestCourierListsItsCapabilities(t *testing.T) {
	courier.need(t)
	f := startFrontEnd(t, options{servers: courier.behind()})
	user := courier.user(t, 0)
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	for name, command := range map[string]string{
		"LOGIN": "a LOGIN " + user + " " + password,
		"PLAIN": "a AUTHENTICATE PLAIN " + plain,
	} {
		c := testkit.Dial(t, f.plain, nil)
		c.Expect("* OK *LITERAL+*")
		c.Send(command)
		lines := strings.Join(c.ReadUntilTagged("a"), "\n")
		list := strings.Contains(lines, "CAPABILITY IMAP4rev1 UIDPLUS CHILDREN")
		if !list || strings.Contains(lines, "LITERAL") || !strings.Contains(lines, "a OK ") {
			t.Errorf("%s: %s", name, lines)
		}
		c.Command("b", "LOGOUT")
	}
}

// A client that has sent a literal without waiting, as the greeting allowed, gets it to Courier as a synchronising
// one. No line of the mail runs as a command, neither of mail that is taken nor of mail that is refused.
func TestCourierNeverRunsMail(t *testing.T) {
	courier.need(t)
	f := startFrontEnd(t, options{servers: courier.behind()})
	user := courier.user(t, 0)
	mail := "Subject: commands\r\n\r\nx CREATE INBOX.Evil\r\ny NOOP\r\nz LOGOUT\r\n"
	c := testkit.Dial(t, f.plain, nil)
	c.Expect("* OK *")
	c.SendRaw(fmt.Sprintf("a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\nb APPEND INBOX {%d+}\r\n%s\r\nc APPEND INBOX.Nowhere "+
		"{%d+}\r\n%s\r\nd NOOP\r\n",
		len(user), user, len(password), password, len(mail), mail, len(mail), mail))
	lines := c.ReadUntilTagged("d")
	text := "\n" + strings.Join(lines, "\n")
	for _, want := range []string{"\na OK ", "\nb OK ", "\nc NO ", "\nd OK "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	for _, line := range lines {
		if tag, _, _ := strings.Cut(line, " "); slices.Contains([]string{"Subject:", "x", "y", "z"}, tag) {
			t.Errorf("a line of the mail ran: %s", line)
		}
	}
	c.Command("e", "SELECT INBOX")
	c.Send("f FETCH 1 BODY[]")
	c.Expect(fmt.Sprintf("* 1 FETCH *{%d}", len(mail)))
	if got := string(c.ReadN(len(mail))); got != mail {
		t.Errorf("the mail became %q", got)
	}
	c.ReadUntilTagged("f")
	if lines := strings.Join(c.Command("g", `LIST "" *`), "\n"); strings.Contains(lines, "Evil") {
		t.Errorf("mailboxes: %s", lines)
	}
	c.Command("h", "LOGOUT")
}
