package relay

import "time"

// listedAtOnce is how many slots a loop lists before it continues its work.
const listedAtOnce = 500

// Sessions implements Relay.
func (ls *Loops) Sessions() []Carried {
	var all []Carried
	for _, lp := range ls.loops {
		part := make([]Carried, 0, listedAtOnce)
		done := make(chan int, 1) // the loop does not wait for us
		for at := firstSlot; at >= 0; {
			if !lp.post(func() { done <- lp.list(&part, at) }) {
				break
			}
			at = <-done
			all = append(all, part...)
			part = part[:0]
		}
	}
	return all
}

// list adds the sessions in some slots, and returns where to continue; see each.
func (lp *loop) list(to *[]Carried, from int) (next int) {
	now := lp.opts.Now()
	return lp.each(from, listedAtOnce, func(l *link) {
		*to = append(*to, l.describe(now, time.Duration(now-l.clientSentAt)))
	})
}

// each calls do for the sessions in some slots. It returns the slot where to continue, or -1 after the last one. If do
// panics, that session ends.
func (lp *loop) each(from, slots int, do func(*link)) (next int) {
	next = min(from+slots, len(lp.slots))
	for _, s := range lp.slots[min(from, next):next] {
		if s.end != nil && s.end.isClient() && s.end.link.phase == phaseCarrying {
			l := s.end.link
			l.protect(func() { do(l) })
		}
	}
	if next == len(lp.slots) {
		return -1
	}
	return next
}
