package proxy

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend"
	"portico/proxy/relay"
	"portico/proxy/wire"
)

// stranger owns a session that no Server has handed over.
type stranger struct{}

func (stranger) User() string       { return "bob" }
func (stranger) Ended(relay.Ending) {}

// signedIn is a harness whose relay carries one session of each user, in the database of the user's initial.
func signedIn(t *testing.T, users ...string) *harness {
	h := start(t, TLSNone, nil)
	h.tier.signIn = func(_ context.Context, q backend.SignInRequest) (*backend.Link, error) {
		link := fakeLink(q)
		link.Database = "db-of-" + q.Credential.Username[:1]
		return link, nil
	}
	h.relay.foreign = []relay.Carried{{Owner: stranger{}}}
	for _, user := range users {
		p := h.client()
		p.send("a LOGIN " + user + " secret\r\n")
		h.relay.take(t)
	}
	return h
}

// users names whose sessions are carried.
func (h *harness) users() string {
	var users []string
	for _, s := range h.server.Sessions() {
		users = append(users, s.User)
	}
	slices.Sort(users)
	return strings.Join(users, " ")
}

// Each way to end sessions ends those that are meant and no others, says why, and spreads the ends over the time that
// it was given.
func TestWaysToEndSessions(t *testing.T) {
	for name, test := range map[string]struct {
		end    func(*Server)
		left   string
		reason relay.Reason
		spread time.Duration
	}{
		"all":  {func(s *Server) { s.EndAll(7 * time.Second) }, "", relay.ReasonMaintenance, 7 * time.Second},
		"user": {func(s *Server) { s.EndUser("bob", relay.ReasonMoved) }, "ann beth", relay.ReasonMoved, 0},
		"database": {func(s *Server) { s.EndDatabase("db-of-b", 5*time.Second) }, "ann", relay.ReasonMoved,
			5 * time.Second},
		"picked": {func(s *Server) {
			s.EndSessions(func(s Session) bool { return s.User == "ann" }, relay.ReasonKicked)
		}, "beth bob", relay.ReasonKicked, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := signedIn(t, "ann", "bob", "beth")
			if users := h.users(); users != "ann beth bob" {
				t.Fatalf("carried: %s", users)
			}
			h.relay.spread = -1
			test.end(h.server)
			if users := h.users(); users != test.left {
				t.Errorf("left: %q, want %q", users, test.left)
			}
			if h.relay.spread != test.spread {
				t.Errorf("spread over %v, want %v", h.relay.spread, test.spread)
			}
			waitUntil(t, func() bool {
				return strings.Count(h.log.String(), `"reason":"`+test.reason.String()+
					`"`) == 3-len(strings.Fields(test.left))
			})
		})
	}
}

// EndSessions returns the sessions as they were before they ended.
func TestEndSessionsListsThem(t *testing.T) {
	h := signedIn(t, "ann", "bob")
	var before []Session
	for _, s := range h.server.Sessions() {
		if s.User == "bob" {
			before = append(before, s)
		}
	}
	ended := h.server.EndSessions(func(s Session) bool { return s.User == "bob" }, relay.ReasonKicked)
	if len(ended) != 1 || len(before) != 1 || ended[0] != before[0] {
		t.Fatalf("got %+v, want %+v", ended, before)
	}
	s := ended[0]
	if len(s.ID) != 16 || s.Server != "mbx1" || s.Database != "db-of-b" || s.Listener != "test" ||
		s.Remote.Addr().String() != "127.0.0.1" || s.Open != 1 {
		t.Errorf("%+v", s)
	}
	if again := h.server.EndSessions(func(s Session) bool { return s.User == "bob" },
		relay.ReasonKicked); len(again) != 0 {
		t.Errorf("ended twice: %+v", again)
	}
}

// Slow lists the slowest commands first, with their session and the time at which they ended.
func TestSlowestFirst(t *testing.T) {
	h := signedIn(t, "ann")
	owner := h.relay.Sessions()[0].Owner
	h.relay.slow = []relay.SlowCommand{
		{Owner: owner, Verb: wire.VerbNoop, Spent: time.Second, Ago: time.Hour},
		{Owner: stranger{}, Verb: wire.VerbIdle, Spent: time.Minute},
		{Owner: owner, Verb: wire.VerbFetch, Result: relay.ResultNO, Spent: 3 * time.Second, Ago: 0},
	}
	before := time.Now()
	slow := h.server.Slow()
	after := time.Now()
	if len(slow) != 2 || slow[0].Took != 3*time.Second || slow[1].Took != time.Second {
		t.Fatalf("%+v", slow)
	}
	if s := slow[0]; s.Verb != "FETCH" || s.Result != "no" || s.Session.User != "ann" || s.Ended.Before(before) ||
		s.Ended.After(after) {
		t.Errorf("%+v", s)
	}
	if s := slow[1]; s.Ended.Before(before.Add(-time.Hour)) || s.Ended.After(after.Add(-time.Hour)) {
		t.Errorf("%+v", s)
	}
}
