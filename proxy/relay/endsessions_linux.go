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

// beginEnd selects the sessions, and ends the first ones. Sessions that come later are not selected.
func (lp *loop) beginEnd(pick func(Owner) bool, r Reason, d time.Duration, done chan struct{}) {
	request := endRequest{reason: r, done: done}
	for _, s := range lp.slots {
		if s.end == nil || !s.end.isClient() || s.end.link.phase != phaseCarrying {
			continue
		}
		s.end.link.protect(func() {
			if pick(s.end.link.owner) {
				request.links = append(request.links, s.end.link)
			}
		})
	}
	ticks := max(int(d/tick), 1)
	request.perTick = (len(request.links) + ticks - 1) / ticks
	lp.endRequests = append(lp.endRequests, request)
	lp.endSome(lp.opts.Now())
}

// endSome ends the next sessions of each request.
func (lp *loop) endSome(now int64) {
	rest := lp.endRequests[:0]
	for _, request := range lp.endRequests {
		next := request.links[:min(request.perTick, len(request.links))]
		for _, link := range next {
			link.protect(func() { link.finish(request.reason, now) }) // no effect if it has ended
		}
		if request.links = request.links[len(next):]; len(request.links) == 0 {
			close(request.done)
			continue
		}
		rest = append(rest, request)
	}
	clear(lp.endRequests[len(rest):])
	lp.endRequests = rest
}
