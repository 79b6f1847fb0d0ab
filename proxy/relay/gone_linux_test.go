package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// A client that is gone is noticed, whatever keeps it from being read.
func TestAGoneClientIsNoticedInEveryState(t *testing.T) {
	states := map[string]func(r *rig, tk *talk){
		"256 open commands": func(r *rig, tk *talk) {
			tk.client.say(strings.Repeat("a NOOP\n", maxOpen) + "b NOOP\nc NOOP\n")
			tk.server.hears(strings.Repeat("a NOOP\n", maxOpen))
			tk.client.say("d NOOP\n")
		},
		"a literal to be allowed": func(r *rig, tk *talk) {
			tk.client.say("a APPEND x {5}\nb NOOP\n")
			tk.server.hears("a APPEND x {5}\n")
			tk.client.say("c NOOP\n")
		},
		"a server that does not read": func(r *rig, tk *talk) {
			tk.client.say("a APPEND x {20000000+}\n")
			go tk.client.sends(flow{20000000, 1})
			r.waitStalled()
		},
		"too many commands": func(r *rig, tk *talk) {
			r.relay.Limit(1, 1)
			tk.client.say(strings.Repeat("a NOOP\n", 100))
			tk.server.hears(strings.Repeat("a NOOP\n", 100))
			tk.client.say("b NOOP\n")
		},
	}
	ends := map[string]func(*peer){"reset": (*peer).reset, "closed": (*peer).halfClose}
	testkit.NoLeaks(t)
	for name, prepare := range states {
		for how, leave := range ends {
			if how == "closed" && name == "a server that does not read" {
				continue // what is on its way keeps the client's end from us
			}
			for _, w := range []ways{{false, false}, {true, true}} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, how, w), func(t *testing.T) {
					r := newRig(t, drivers[0], Options{LingerTimeout: 200 * time.Millisecond}, w)
					tk := r.start(tight)
					prepare(r, tk)
					leave(tk.client)
					if e := tk.end(); e.Reason != ReasonClient {
						t.Errorf("ended with %+v", e)
					}
				})
			}
		}
	}
}
