package relay

import "time"

// endRequest is a request to end sessions. A loop ends some of them at each tick, so that their clients do not all
// reconnect at once.
type endRequest struct {
	links   []*link
	reason  Reason
	perTick int
	done    chan struct{} // closed when all have ended
}

// End implements Relay.
func (ls *Loops) End(pick func(Owner) bool, r Reason, d time.Duration) {
	var waits []chan struct{}
	for _, lp := range ls.loops {
		done := make(chan struct{})
		if lp.post(func() { lp.beginEnd(pick, r, d, done) }) {
			waits = append(waits, done)
		}
	}
	for _, done := range waits {
		<-done
	}
}

// beginEnd chooses the sessions. Later sessions are not among them.
func (lp *loop) beginEnd(pick func(Owner) bool, r Reason, d time.Duration, done chan struct{}) {
	l := endRequest{reason: r, done: done}
	for _, s := range lp.slots {
		if s.end == nil || !s.end.isClient() || s.end.link.phase != carrying {
			continue
		}
		s.end.link.guard(func() {
			if pick(s.end.link.owner) {
				l.links = append(l.links, s.end.link)
			}
		})
	}
	ticks := max(int(d/tick), 1)
	l.perTick = (len(l.links) + ticks - 1) / ticks
	lp.endRequests = append(lp.endRequests, l)
	lp.endSome(lp.opts.Now())
}

// endSome ends the next sessions of each request.
func (lp *loop) endSome(now int64) {
	rest := lp.endRequests[:0]
	for _, l := range lp.endRequests {
		next := l.links[:min(l.perTick, len(l.links))]
		for _, link := range next {
			link.guard(func() { link.finish(l.reason, now) }) // nothing happens where it has ended
		}
		if l.links = l.links[len(next):]; len(l.links) == 0 {
			close(l.done)
			continue
		}
		rest = append(rest, l)
	}
	clear(lp.endRequests[len(rest):])
	lp.endRequests = rest
}
