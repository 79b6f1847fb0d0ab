package e2e

import (
	"encoding/base64"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Courier's answer to a sign-in lists no capabilities. Clients get Courier's own list all the same, which has no LITERAL+.
func TestCourierListsItsCapabilities(t *testing.T) {
	courier.need(t)
	f := front(t, options{servers: courier.behind()})
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
