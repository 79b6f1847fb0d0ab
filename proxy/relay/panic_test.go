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

// What the relay calls for a session may panic anywhere: that session ends, its panic is reported, and the others go
// on.
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

// endPanics is a Watcher whose session's end panics.
type endPanics struct{}

func (endPanics) Finished(*Finished) {}
func (endPanics) Ended(Ending)       { panic("mad") }

// What the relay calls when a session ends may panic: the session is over all the same, its panic is reported, and the
// others go on.
func TestAPanicAtTheEndIsReported(t *testing.T) {
	for _, d := range drivers {
		for _, who := range []string{"watcher", "owner"} {
			t.Run(d.name+", "+who, func(t *testing.T) {
				testkit.NoLeaks(t)
				var panics panicNotes
				r := newRig(t, d, Options{Panicked: panics.note, Watch: func(_ int, o Owner, _ uint64) Watcher {
					if o.User() == "mallory" && who == "watcher" {
						return endPanics{}
					}
					return nil
				}}, ways{})
				other := r.start()
				broken := r.start(func(s *Session) {
					told := s.Owner
					s.Owner = named{ownerFunc(func(e Ending) {
						told.Ended(e)
						if who == "owner" {
							panic("mad")
						}
					}), "mallory"}
				})
				broken.client.reset()
				if e := broken.end(); e.Reason != ReasonClient {
					t.Errorf("ended with %+v", e)
				}
				testkit.Eventually(t, "the panic is reported", func() bool { return r.relay.Stats().Panics == 1 })
				panics.check(t, "panic_test.go")
				if n := r.server().Sessions; n != 1 {
					t.Errorf("%d sessions are counted", n)
				}
				other.answers()
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
