package relay

import (
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// endUsers begins to end the sessions of some users. The channel is closed when End has returned.
func (r *rig) endUsers(reason Reason, users ...string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.relay.End(func(o Owner) bool {
			for _, user := range users {
				if o.User() == user {
					return true
				}
			}
			return false
		}, reason, 0)
	}()
	return done
}

// of gives a session another user.
func of(user string) setup { return func(s *Session) { s.Owner = named{s.Owner, user} } }

// answers checks that a session works.
func (tk *talk) answers() {
	tk.t.Helper()
	tk.client.say("z NOOP\n")
	tk.server.hears("z NOOP\n")
	tk.server.say("z OK\n")
	tk.client.hears("z OK\n")
}

func TestEndEndsThePickedSessionsAlone(t *testing.T) {
	for name, test := range map[string]struct {
		reason Reason
		bye    string
	}{
		"kicked":      {ReasonKicked, "* BYE Session closed by the administrator\n"},
		"moved":       {ReasonMoved, "* BYE [UNAVAILABLE] Your mailbox is being moved, please connect again\n"},
		"maintenance": {ReasonMaintenance, lfs(byeDrain)},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, r *rig) {
				quiet, busy, cut, other := r.start(of("bob")), r.start(of("carol")), r.start(of("bob")), r.start()
				busy.client.say("a NOOP\n")
				busy.server.hears("a NOOP\n")
				cut.server.say("* 1 FETCH (BODY[] {3}\n")
				cut.client.hears("* 1 FETCH (BODY[] {3}\n")
				done := r.endUsers(test.reason, "bob", "carol")
				for _, tk := range []*talk{quiet, busy} { // with open commands or not
					tk.server.hearsEnd()
					tk.client.hears(test.bye)
					tk.client.hearsEnd()
					tk.client.Close()
				}
				cut.client.hearsCut()
				r.drained(done)
				for _, tk := range []*talk{quiet, busy, cut} {
					if e := tk.end(); e.Reason != test.reason {
						t.Errorf("ended with %+v", e)
					}
				}
				other.answers()
				r.start(of("bob")).answers() // comes later
				r.drained(r.endUsers(test.reason, "nobody"))
				other.answers()
				if n := r.relay.Stats().Ended[test.reason]; n != 3 {
					t.Errorf("%d are counted", n)
				}
			})
		})
	}
}

// End returns although its sessions end for other reasons meanwhile, and on a relay that is closed.
func TestEndReturnsWhenTheRelayCloses(t *testing.T) {
	eachWay(t, func(t *testing.T, r *rig) {
		tk := r.start(of("bob"))
		done := make(chan struct{})
		picked := make(chan struct{})
		go func() {
			defer close(done)
			r.relay.End(func(Owner) bool { close(picked); return true }, ReasonKicked, time.Hour)
		}()
		<-picked
		tk.client.hears("* BYE Session closed by the administrator\n")
		r.relay.Close()
		r.drained(done)
		r.drained(r.endUsers(ReasonKicked, "bob"))
	})
}

// The portable relay has forgotten the sessions when End returns, however long their clients stay.
func TestEndOfPumpsWaitsForItsSessions(t *testing.T) {
	testkit.NoLeaks(t)
	r := newRig(t, pumps, Options{}, ways{})
	talks := []*talk{r.start(of("bob")), r.start(of("bob"))}
	r.relay.End(func(Owner) bool { return true }, ReasonKicked, 0)
	for _, tk := range talks {
		if n := tk.endings.Load(); n != 1 {
			t.Errorf("the owner was told %d times when End returned", n)
		}
	}
	if all := r.relay.Sessions(); len(all) != 0 {
		t.Errorf("sessions when End returned: %+v", all)
	}
}
