package relay

// watch asks who watches a session.
func (lp *loop) watch(l *link) {
	if lp.opts.Watch != nil {
		l.observe(lp.opts.Watch(lp.number, l.owner, uint64(l.tracker.commands)))
	}
}

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

// rewatch asks for the sessions in some places, and returns where to go on; see each.
func (lp *loop) rewatch(from int) (next int) {
	return lp.each(from, lp.watch)
}
