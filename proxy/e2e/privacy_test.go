package e2e

import (
	"strings"
	"testing"

	"portico/backend"
	"portico/backend/backendtest/testkit"
	"portico/protolog"
)

// Where users are shown as hashes and clients as networks, no row names either, be it as an argument.
func TestProtocolLogNamesNobody(t *testing.T) {
	testkit.NoLeaks(t)
	f := startFrontEnd(t,
		options{servers: []backend.ServerOptions{{Name: "mbx1", Addresses: []string{lenient(t, ears["accepts"])}}}})
	f.rows.Configure(protolog.Settings{
		Enabled: true, HashUsers: true, ShortenAddresses: true,
		Files: protolog.FileSettings{Location: f.rowsDir, RollOver: protolog.Monthly},
	})
	for _, login := range []string{"LOGIN ada " + password, "AUTHENTICATE PLAIN AGFkYQBvcGVuLXNlc2FtZQ=="} {
		c := testkit.Dial(t, f.plain, nil)
		c.Expect("* OK *")
		c.Send("a " + login)
		c.Expect("a OK *")
		c.Send("b NOOP")
		c.Expect("b OK *")
		c.Close()
	}
	f.gone()
	rows := f.rowsText()
	if strings.Contains(rows, "ada") || strings.Contains(rows, ",127.0.0.1:") &&
		strings.Count(rows, "127.0.0.0:0") < 10 {
		t.Errorf("the rows are\n%s", rows)
	}
	if !strings.Contains(rows, " *****,") || !strings.Contains(rows, ",noop,") {
		t.Errorf("the rows are\n%s", rows)
	}
}
