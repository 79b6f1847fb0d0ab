package e2e

import (
	"encoding/base64"
	"testing"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// A client that is silent in the middle of its exchange holds up no move. The move ends the exchange, and the client
// may go on.
func TestMoveEndsASilentExchange(t *testing.T) {
	const hello = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-256 SASL-IR] hello\n"
	server := testkit.Scripted(t, nil, hello+"eof", hello+"C: ${tag} AUTHENTICATE SCRAM-SHA-256 *\nS: + cj14\neof")
	testkit.NoLeaks(t)
	f := startFrontEnd(t, options{servers: []backend.ServerOptions{
		{Name: "mbx1", Addresses: []string{server.Addr()}}, {Name: "mbx2", Addresses: []string{"127.0.0.1:1"}},
	}})
	askMechanisms(t, f)
	tier := f.tier.(*backend.Tier)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			if at, _ := tier.ActiveManager().Active("db1"); at != "mbx1" {
				must(t, tier.ActiveManager().Move(t.Context(), "db1", "mbx1",
					backend.MoveOptions{End: func(string) {}}))
			}
			c := f.dial(way)
			c.Send("a AUTHENTICATE SCRAM-SHA-256 " + base64.StdEncoding.EncodeToString([]byte("n,,n=ada,r=x")))
			c.Expect("+ cj14")
			must(t, tier.ActiveManager().Move(t.Context(), "db1", "mbx2", backend.MoveOptions{End: func(string) {}}))
			c.Expect("a NO [UNAVAILABLE] *")
			c.Send("b NOOP")
			c.Expect("b OK *")
			c.Close()
		})
	}
	f.gone()
}
