package relay

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"portico/backend/backendtest/testkit"
)

// panicNotes keeps what Options.Panicked receives.
type panicNotes struct {
	mu    sync.Mutex
	notes []string
}

func (p *panicNotes) note(value any, stack []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, fmt.Sprintf("%v\n%s", value, bytes.Clone(stack)))
}

// check checks that the first panic came with a stack that shows where it happened.
func (p *panicNotes) check(t *testing.T, where string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.notes) == 0 || !bytes.Contains([]byte(p.notes[0]), []byte(where)) {
		t.Errorf("no stack with %s in %q", where, p.notes)
	}
}

// What the relay calls for a session may panic anywhere: that session ends, its panic is reported, and the others go on.
func TestAPanicOfACallbackEndsItsSessionAlone(t *testing.T) {
	mad := func(o Owner) {
		if o.User() == "mallory" {
			panic("mad")
		}
	}
	calls := map[string]func(Relay){
		"watch at the start": nil,
		"watch later":        Relay.Rewatch,
		"pick": func(r Relay) {
			r.End(func(o Owner) bool { mad(o); return false }, ReasonKicked, 0)
		},
	}
	for _, d := range drivers {
		for name, call := range calls {
			t.Run(d.name+", "+name, func(t *testing.T) {
				testkit.NoLeaks(t)
				var panics panicNotes
				var mu sync.Mutex
				armed := call == nil
				r := newRig(t, d, Options{Panicked: panics.note, Watch: func(_ int, o Owner, _ uint64) Watcher {
					mu.Lock()
					defer mu.Unlock()
					if armed {
						mad(o)
					}
					return nil
				}}, ways{})
				other := r.start()
				broken := r.start(func(s *Session) { s.Owner = named{s.Owner, "mallory"} })
				if call != nil {
					mu.Lock()
					armed = true
					mu.Unlock()
					call(r.relay)
				}
				broken.client.hearsCut()
				if e := broken.end(); e.Reason != ReasonError {
					t.Errorf("ended with %+v", e)
				}
				panics.check(t, "panic_test.go")
				other.client.say("a NOOP\n")
				other.server.hears("a NOOP\n")
				other.server.say("a OK\n")
				other.client.hears("a OK\n")
			})
		}
	}
}

// named is an owner under another name.
type named struct {
	Owner
	name string
}

func (n named) User() string { return n.name }
