package relay

import "testing"

func (r *rig) isLoops() bool { _, ok := r.relay.(*Loops); return ok }

// inside runs f on each loop, and waits.
func inside(t testing.TB, r Relay, f func(*loop)) {
	t.Helper()
	for _, lp := range r.(*Loops).loops {
		done := make(chan struct{})
		if !lp.post(func() { defer close(done); f(lp) }) {
			t.Fatal("the loop has stopped")
		}
		<-done
	}
}

// links calls f for each session of a loop.
func (lp *loop) links(f func(*link)) {
	for _, s := range lp.slots {
		if s.end != nil && s.end.isClient() {
			f(s.end.link)
		}
	}
}

// holdsBytes says whether an event loop has bytes that an end does not take. Without it, a loop that has no CPU looks
// as one that waits. Goroutines do not tell.
func (r *rig) holdsBytes() (holds bool) {
	if !r.isLoops() {
		return true
	}
	inside(r.t, r.relay, func(lp *loop) {
		lp.links(func(l *link) {
			for _, e := range []*end{&l.client, &l.upstream} {
				holds = holds || e.pending != nil || e.held.len() > 0
			}
		})
	})
	return holds
}

// checkBounded checks that no session has more in store than is allowed.
func (r *rig) checkBounded() {
	r.t.Helper()
	if !r.isLoops() {
		checkPumpsBounded(r)
		return
	}
	inside(r.t, r.relay, func(lp *loop) {
		lp.links(func(l *link) {
			for _, e := range []*end{&l.client, &l.upstream} {
				// A read may be all commands that are refused, at five times their length.
				if e.pending.size() > maxPending+5*readSize || e.held.len() > headRoom {
					r.t.Errorf("%d bytes are pending and %d held", e.pending.size(), e.held.len())
				}
			}
		})
	})
}
