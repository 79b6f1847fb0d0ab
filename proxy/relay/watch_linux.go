package relay

// watch asks who watches a session.
func (lp *loop) watch(l *link) {
	if lp.opts.Watch != nil {
		l.observe(lp.opts.Watch(lp.number, l.owner, uint64(l.tracker.numAnswered)))
	}
}

// rewatchedAtOnce is for how many slots a loop calls Options.Watch before it continues its work.
const rewatchedAtOnce = 100

// Rewatch implements Relay.
func (ls *Loops) Rewatch() {
	for _, lp := range ls.loops {
		done := make(chan int)
		for at := firstSlot; at >= 0; {
			if !lp.post(func() { done <- lp.rewatch(at) }) {
				break
			}
			at = <-done
		}
	}
}

// rewatch asks who watches the sessions in some slots, and returns where to continue; see each.
func (lp *loop) rewatch(from int) (next int) {
	return lp.each(from, rewatchedAtOnce, lp.watch)
}
