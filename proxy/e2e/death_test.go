package e2e

import (
	"strconv"
	"strings"
	"testing"

	"portico/backend"
	"portico/backend/backendtest/testkit"
)

// byeGone is what a client is told when its mailbox server is gone.
const byeGone = "* BYE [UNAVAILABLE] The mailbox server closed the connection, please try again\r\n"

// death is a mailbox server's end in the middle of a session.
type death struct {
	name   string
	send   string // by the client, once it is signed in
	said   string // last words of the server; the client gets them in any case
	told   string // by Portico, behind that
	cut    bool   // the client must see that something is missing
	reason string
}

var deaths = []death{
	{name: "at rest", told: byeGone, reason: "server"},
	{name: "between lines", said: "* 1 EXISTS\r\n", told: byeGone, reason: "server"},
	{name: "before an answer", send: "a NOOP\r\n", told: byeGone, reason: "server"},
	{name: "in IDLE", send: "a IDLE\r\n", said: "+ idling\r\n", told: byeGone, reason: "server"},
	{name: "in the client's literal", send: "a APPEND INBOX {100+}\r\nSubject: ", told: byeGone, reason: "server"},
	{name: "before a literal is allowed", send: "a APPEND INBOX {100}\r\n", told: byeGone, reason: "server"},
	{name: "behind a literal", said: "* LIST () \"/\" {3}\r\nabc\r\n", told: byeGone, reason: "server"},

	{name: "in a line", said: "* 1 EXI", cut: true, reason: "server"},
	{name: "between CR and LF", said: "* 1 EXISTS\r", cut: true, reason: "server"},
	{name: "in a tagged line", send: "a NOOP\r\n", said: "a OK done", cut: true, reason: "server"},
	{name: "in a capability list", said: "* CAPABILITY IMAP4rev1 COMPR", cut: true, reason: "server"},
	{name: "in a tag", send: "a NOOP\r\n", said: "a", cut: true, reason: "server"},
	{name: "before a literal", said: "* 1 FETCH (BODY[] {10}\r\n", cut: true, reason: "server"},
	{name: "in a literal", said: "* 1 FETCH (BODY[] {10}\r\nabc", cut: true, reason: "server"},
	{name: "in a literal, behind what looks like a line", said: "* 1 FETCH (BODY[] {100}\r\na OK\r\n", cut: true,
		reason: "server"},
	{name: "at a literal's end", said: "* 1 FETCH (BODY[] {3}\r\nabc", cut: true, reason: "server"},

	{name: "behind BYE", said: "* BYE down\r\n", reason: "logout"},
	{name: "behind LOGOUT", send: "a LOGOUT\r\n", said: "* BYE out\r\na OK\r\n", reason: "logout"},
}

// A client gets what its mailbox server said last. Then it is told, or the connection is cut where the server stopped
// in the middle of something, so that nothing cut passes for whole.
func TestServerDies(t *testing.T) {
	for _, w := range []way{ways[0], ways[2]} {
		for _, mode := range []backend.TLSMode{backend.TLSNone, backend.TLSImplicit} {
			for _, how := range []string{"close", "reset"} {
				behind := map[backend.TLSMode]string{backend.TLSNone: "plain", backend.TLSImplicit: "tls"}[mode]
				for running, o := range map[string]options{"": {}, ", goroutines": {goroutines: true}} {
					t.Run(w.name+" to "+behind+" by "+how+running,
						func(t *testing.T) { serverDies(t, w, mode, how, o) })
				}
			}
		}
	}
}

// serverDies runs all deaths with one front end, one server and one connection each.
func serverDies(t *testing.T, w way, mode backend.TLSMode, how string, o options) {
	testkit.NoLeaks(t)
	serverTLS, trust := testkit.TLS(t)
	var scripts []string
	for _, d := range deaths {
		script := login + "S: ${tag} OK [CAPABILITY IMAP4rev1 LITERAL+] in\n"
		if mode == backend.TLSImplicit {
			script = "tls\n" + script
		}
		first, rest, _ := strings.Cut(d.send, "\r\n")
		if first != "" {
			script += "C: " + first + "\n"
		}
		if rest != "" {
			script += "expect 9\n"
		}
		if d.said != "" {
			script += "raw " + strconv.Quote(d.said) + "\n"
		}
		scripts = append(scripts, script+"wait "+strings.ReplaceAll(d.name, " ", "-")+"\n"+how)
	}
	server := testkit.Scripted(t, serverTLS, scripts...)
	o.servers = []backend.ServerOptions{{Name: "mbx1", TLS: mode, TLSConfig: trust, Addresses: []string{server.Addr()}}}
	f := startFrontEnd(t, o)
	for _, d := range deaths {
		config := f.trust
		if w.name == "plain" {
			config = nil
		}
		before := f.metric("portico_sessions_ended_total", "reason", d.reason)
		s := dialStream(t, w.address(f), config)
		s.send("l LOGIN ada " + password + "\r\n")
		at, _ := s.await(0, begins("l"))
		s.send(d.send)
		// A reset throws away what is on its way. What ends in the middle of a line's head is held back until the end.
		if whole := strings.LastIndexByte(d.said, '\n') + 1; whole > 0 {
			s.await(at, func(text string) int { return len(text) / whole })
		}
		server.Signal(strings.ReplaceAll(d.name, " ", "-"))
		got, end := s.rest()
		s.Close()
		got = got[at:]
		whole := got == d.said+d.told
		if how == "reset" { // the last, half line may be lost
			whole = whole || d.cut && strings.HasPrefix(d.said, got)
		}
		if !whole {
			t.Errorf("%s: told %q", d.name, got)
		}
		if inOrder := end == endEOF; inOrder == d.cut {
			t.Errorf("%s: connection ended by %s", d.name, end)
		}
		testkit.Eventually(t, d.name+": end counted",
			func() bool { return f.metric("portico_sessions_ended_total", "reason", d.reason) == before+1 })
	}
	f.gone()
}
