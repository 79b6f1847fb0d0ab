package proxy

import (
	"maps"
	"testing"

	"portico/backend"
	"portico/proxy/history"
)

// Sign-ins count by result, for the listener from the start, and for database and mailbox server from when they are
// known. Connections that Portico ends count for the listener.
func TestSignInCounts(t *testing.T) {
	h := start(t, TLSNone, nil)
	h.tier.route = func(user string) (backend.Route, error) {
		if user == "nobody" {
			return backend.Route{}, &backend.Error{Kind: backend.KindNoMailbox, Phase: backend.PhaseRoute}
		}
		return backend.Route{User: user, Database: "db1", Servers: []string{"mbx1"}}, nil
	}
	p := h.client()
	p.send("a LOGIN ann wrong\r\n")
	p.expect("a NO")
	p.send("b AUTHENTICATE BOGUS\r\n") // it has no place: the one before is forgotten
	p.expect("b NO")
	p.send("c LOGIN nobody secret\r\n")
	p.expect("c NO")
	p.send("d LOGIN ann secret\r\n")
	h.relay.take(t)
	p = h.client()
	p.send("a LOGOUT\r\n")
	p.rest()
	p = h.client()
	p.send("GET / HTTP/1.1\r\n")
	p.rest()
	at := map[string]uint64{OutcomeBadCredential.String(): 1, OutcomeSignedIn.String(): 1}
	all := map[string]uint64{OutcomeBadCredential.String(): 1, OutcomeSignedIn.String(): 1,
		OutcomeNoMechanism.String(): 1, OutcomeNoMailbox.String(): 1, OutcomeHTTP.String(): 1}
	waitUntil(t, func() bool { // counted behind the answer
		return maps.Equal(h.server.Counts().Of(history.Listener, "test").SignIns, all)
	})
	counts := h.server.Counts()
	for _, g := range []history.Group{{Kind: history.Server, Name: "mbx1"}, {Kind: history.Database, Name: "db1"}} {
		if got := counts.Of(g.Kind, g.Name).SignIns; !maps.Equal(got, at) {
			t.Errorf("%s: %v, want %v", g.Name, got, at)
		}
	}
	// commands before sign-in count under no server
	if got := counts.Of(history.Server, "").Commands["LOGIN"]; got == nil || got.Count != 3 {
		t.Errorf("LOGIN: %+v", got)
	}
}
