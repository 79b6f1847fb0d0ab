package relay

import (
	"testing"
	"time"
)

func TestSilentClientsAreSentAway(t *testing.T) {
	tests := []struct {
		name             string
		client, passedOn string
		server           string
		cut              bool
	}{
		{"silent from the start", "", "", "", false},
		{"with a command open", "a NOOP\n", "a NOOP\n", "", false},
		{"in IDLE", "a IDLE\n", "a IDLE\n", "+ idling\n", false},
		{"while the server talks", "", "", "* 1 EXISTS\n* 2 EXISTS\n", false},
		{"that have to wait for the server", "a IDLE\nb NOOP\n", "a IDLE\n", "", false},
		{"in the middle of a response", "", "", "* 1 FETCH (BODY[] {9}\n1234", true},
		{"in the middle of a line of theirs", "a NOO", "", "", false},
	}
	eachWay(t, func(t *testing.T, r *rig) {
		talks := make([]*talk, len(tests))
		for i, test := range tests {
			talks[i] = r.start()
			talks[i].client.say(test.client)
			talks[i].server.hears(test.passedOn)
			talks[i].server.say(test.server)
			talks[i].client.hears(test.server)
		}
		r.relay.Retime(200*time.Millisecond, time.Minute) // from here on
		for i, test := range tests {
			tk := talks[i]
			if test.cut {
				tk.client.hearsCut()
			} else {
				tk.client.hears(lfs(byeIdle))
				tk.client.hearsEnd()
			}
			tk.client.Close()
			tk.server.rest()
			if e := tk.end(); e.Reason != ReasonIdle {
				t.Errorf("%s: ended with %+v", test.name, e)
			}
		}
	})
}
