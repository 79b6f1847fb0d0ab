package relay

import (
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/proxy/wire"
)

// A session's entry in the list says what its oldest command is, and whether the client only waits for mail.
func TestSessionsInTheList(t *testing.T) {
	testkit.NoLeaks(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			var clock atomic.Int64
			clock.Store(1)
			r := newRig(t, d, Options{Now: clock.Load}, ways{})
			tk := r.start()
			want := func(what string, want Carried) {
				t.Helper()
				all := r.relay.Sessions()
				if len(all) != 1 {
					t.Fatalf("%s: %d sessions", what, len(all))
				}
				got := all[0]
				if got.Owner == nil || got.Owner.User() != "alice" {
					t.Errorf("%s: owner %v", what, got.Owner)
				}
				if got.Owner, got.Silent = nil, 0; got != want {
					t.Errorf("%s: %+v, want %+v", what, got, want)
				}
			}
			want("before any command", Carried{})
			tk.client.say("a IDLE\n")
			tk.server.hears("a IDLE\n")
			clock.Add(int64(time.Second))
			want("IDLE that is not granted yet", Carried{Open: 1, Verb: wire.VerbIdle, Age: time.Second,
				Waited: time.Second, Oldest: time.Second})
			tk.server.say("+ idling\n")
			tk.client.hears("+ idling\n")
			clock.Add(int64(time.Minute))
			want("in IDLE", Carried{Open: 1, Idling: true, Verb: wire.VerbIdle, Age: time.Minute + time.Second,
				Waited: time.Second})
			tk.client.say("DONE\n")
			tk.server.hears("DONE\n")
			clock.Add(int64(time.Second))
			want("behind DONE", Carried{Open: 1, Verb: wire.VerbIdle, Age: time.Minute + 2*time.Second,
				Waited: 2 * time.Second, Oldest: time.Second * 2})
			tk.server.say("a OK\n")
			tk.client.hears("a OK\n")
			want("after IDLE", Carried{Commands: 1})
			tk.client.say("b NOOP\nc IDLE\n")
			tk.server.hears("b NOOP\nc IDLE\n")
			tk.server.say("+ idling\n")
			tk.client.hears("+ idling\n")
			want("in IDLE behind a command that is not answered", Carried{Commands: 1, Open: 2, Verb: wire.VerbNoop})
			tk.server.say("\x16stray\n")
			tk.client.hears("\x16stray\n")
			want("opaque", Carried{Commands: 1, Opaque: true})
		})
	}
}
