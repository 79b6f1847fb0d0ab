package node

import (
	"net"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A mailbox server that takes connections and says nothing is down, in words; the others are what they are.
func TestSilentServerInViews(t *testing.T) {
	site := newSite(t)
	site.serveMail(t)
	ln := testkit.Listen(t)
	go func() {
		var kept []net.Conn
		for {
			conn, err := ln.Accept()
			if err != nil {
				for _, conn := range kept {
					conn.Close()
				}
				return
			}
			kept = append(kept, conn)
		}
	}()
	file := site.writeWithout(t, "databases",
		"databases: {db1: {copies: [mbx1, mbx2]}, db2: {copies: [mbx2]}}\nrouting: hash\n")
	site.replace(t, "mailbox_servers: {", `mailbox_servers: {mbx2: {address: "`+ln.Addr().String()+`", tls: none}, `)
	r := site.serve(t, file)
	got := r.asks(t, cli.StatusBad, "server", "list")
	if !strings.Contains(got, "mbx1  up ") || !strings.Contains(got, "mbx2  down ") ||
		!strings.Contains(got, "no answer to the new connection within 3s") {
		t.Errorf("server list:\n%s", got)
	}
	got = r.asks(t, cli.StatusBad, "database", "status")
	for _, want := range []string{"db1       mbx1    Mounted", "db1       mbx2    ServiceDown",
		"db2       mbx2    Dismounted", "within 3s"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in database status:\n%s", want, got)
		}
	}
}
