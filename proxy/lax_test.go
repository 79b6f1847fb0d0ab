package proxy

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// What mailbox servers take of clients, the front end takes too.
func TestLaxCommands(t *testing.T) {
	tag := strings.Repeat("t", 1024)
	h := start(t, TLSNone, nil)
	for _, c := range []struct{ send, want string }{
		{"a LOGIN bob secret \r\n", "a OK "},
		{"a  LOGIN   bob  secret\r\n", "a OK "},
		{"a login \"bob\" {6}\r\n|secret \r\n", "a OK "},
		{"a LOGIN bob {6+}\r\nsecret\r\n", "a OK "},
		{"a LOGIN bob \"se\\cret\"\r\n", "a OK "},
		{"a LOGIN bob wrong%*\\\r\n", "a NO "},
		{"a LOGIN 100%nobody wrong\r\n", "a NO "},
		{"a LOGIN b\xf6b wrong\r\n", "a NO "},
		{tag + " LOGIN bob secret\r\n", tag + " OK "},
		{tag + " NOOP\r\n", tag + " OK "},
		{tag + " XYZZY\r\n", tag + " BAD "},
		{"a NOOP \r\n", "a OK "},
		{"a CAPABILITY  \r\n", "a OK "},
		{"a LOGOUT \r\n", "a OK "},
		{"a noop\n", "a OK "},
		{"a ID\r\n", "a OK "},
		{"a ID \r\n", "a OK "},
		{"a ID NIL \r\n", "a OK "},
		{"a ID ()\r\n", "a OK "},
		{"a ID ( \"name\"  x \"version\" NIL ) \r\n", "a OK "},
		{"a ID (" + strings.TrimSpace(strings.Repeat(`"`+strings.Repeat("n", 30)+`" "`+strings.Repeat("v", 1024)+`" `,
			30)) + ")\r\n", "a OK "},
		{"a ID (\"name\" {1024}\r\n|" + strings.Repeat("v", 1024) + ")\r\n", "a OK "},
		{"a AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ= \r\n", "a OK "},
		{"a authenticate plain \r\n|AGJvYgBzZWNyZXQ= \r\n", "a OK "},
		{"a authenticate plain\r\n| AGJvYgBz ZWNyZXQ= \r\n", "a OK "},
		{"a AUTHENTICATE PLAIN\r\n|*\r\n", "a BAD "},
		{"a LOGIN \"bob\"\"secret\"\r\n", "a OK "},
		{"a NOOP now\r\n", "a OK "},
		{"a CAPABILITY x\r\n", "a OK "},
		{"a LOGOUT now\r\n", "a OK "},
		{"a ID (\"name\" \"x\") (\"more\" \"y\")\r\n", "a OK "},
	} {
		t.Run(fmt.Sprintf("%.40q", c.send), func(t *testing.T) {
			p := h.client()
			for i, part := range strings.Split(c.send, "|") {
				if i > 0 {
					p.expect("+ ")
				}
				p.send(part)
			}
			for {
				if line := p.expect(""); !strings.HasPrefix(line, "* ") {
					if !strings.HasPrefix(line, c.want) {
						t.Errorf("answered %.80q, want %.80q", line, c.want)
					}
					return
				}
			}
		})
	}
}

// A token goes through as an initial response as it does without one.
func TestLongInitialResponse(t *testing.T) {
	h := start(t, TLSNone, func(o *Options) {
		o.Settings.Tier.(*fakeTier).mechanisms = []string{"PLAIN", "XOAUTH2"}
	})
	asked := h.asks()
	for _, size := range []int{4500, 9000, 49_000} {
		message := "user=alice\x01auth=Bearer " + strings.Repeat("t", size) + "\x01\x01"
		p := h.client()
		p.send("a AUTHENTICATE XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte(message)) + "\r\n")
		p.expect("* OK ")
		p.expect("a OK ")
		if q := <-asked; q.Credential.First.Reveal() != message {
			t.Errorf("a token of %d bytes arrived as a message of %d bytes instead of %d", size,
				len(q.Credential.First.Reveal()), len(message))
		}
	}
}

// Where no password may travel, no name or password of a LOGIN is asked for, and nothing of a literal is taken for a
// command.
func TestLoginIsRefusedAtItsFirstLiteral(t *testing.T) {
	h := start(t, TLSStartTLS, func(o *Options) { o.Settings.LoginType = SecureLogin })
	for _, send := range []string{
		"a LOGIN {3}\r\n", "a LOGIN bob {6}\r\n", "a LOGIN {3+}\r\nbob {6}\r\n",
		"a LOGIN {10+}\r\nx LOGOUT\r\n {0+}\r\n\r\n",
		"a LOGIN {10}\r\nx LOGOUT\r\n secret\r\n", "a LOGIN {3}\r\nbob {10}\r\nx LOGOUT\r\n\r\n",
	} {
		p := h.client()
		p.send(send)
		p.expect("a NO [PRIVACYREQUIRED] ")
		p.send("b NOOP\r\n")
		p.expect("b OK ")
	}
	if got := h.refused(OutcomePrivacyRequired); got != 6 {
		t.Errorf("counted %v times; log:\n%s", got, h.log)
	}
}
