package relay

// watch asks who watches a session.
func (lp *loop) watch(l *link) {
	if lp.opts.Watch != nil {
		l.observe(lp.opts.Watch(lp.number, l.owner, uint64(l.tracker.commands)))
	}
}

// rewatchedAtOnce is how many slots a loop asks for before it goes on with its work. It may make something for each.
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

// rewatch asks for the sessions in some slots, and returns where to go on; see each.
func (lp *loop) rewatch(from int) (next int) {
	return lp.each(from, rewatchedAtOnce, lp.watch)
}
