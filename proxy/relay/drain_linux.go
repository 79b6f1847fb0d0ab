package relay

import "time"

// drain is how far a loop's draining is. Quiet sessions are ended some at each tick, so that their clients do not all
// come back at once; busy ones when their last command is answered.
type drain struct {
	stage   drainStage
	perTick int
	cursor  int
	emptied []chan struct{} // closed when no session is left
}

// drainPerTick is how many sessions are ended at a tick at least.
const drainPerTick = 100

// beginDrain ends the quiet sessions within about d.
func (lp *loop) beginDrain(d time.Duration, emptied chan struct{}) {
	lp.drain.stage = max(lp.drain.stage, drainQuiet)
	lp.drain.perTick = max(drainPerTick, lp.sessions/max(int(d/tick), 1)+1)
	lp.drain.cursor = firstSlot
	lp.drain.emptied = append(lp.drain.emptied, emptied)
	lp.drained()
	lp.drainSome(lp.opts.Now())
}

// drained tells those who wait for it when no session is left.
func (lp *loop) drained() {
	if lp.sessions > 0 {
		return
	}
	for _, emptied := range lp.drain.emptied {
		close(emptied)
	}
	lp.drain.emptied = nil
}

// endDrain ends the sessions that are still there, those with open commands too, and any that come after.
func (lp *loop) endDrain() {
	lp.drain.stage = drainAll
	lp.endAll(ReasonDrain)
}

// drainSome ends the next quiet sessions. Those found busy end by themselves.
func (lp *loop) drainSome(now int64) {
	if lp.drain.stage == drainNone {
		return
	}
	for left := lp.drain.perTick; left > 0; lp.drain.cursor++ {
		if lp.drain.cursor >= len(lp.slots) {
			lp.drain.cursor = firstSlot
			return
		}
		e := lp.slots[lp.drain.cursor].end
		if e == nil || !e.isClient() || e.link.phase != carrying {
			continue
		}
		if l := e.link; l.quiet(l.client.held.len() > 0) {
			l.guard(func() { l.finish(ReasonDrain, now) })
			left--
		}
	}
}

// endAll ends every session, those with open commands too, and gives the last bytes little time.
func (lp *loop) endAll(r Reason) {
	now := lp.opts.Now()
	for _, s := range lp.slots {
		if s.end == nil || !s.end.isClient() {
			continue
		}
		l := s.end.link
		l.guard(func() {
			l.finish(r, now)
			l.deadline = min(l.deadline, now+int64(closeLinger))
		})
	}
}

// stop ends the loop and every session on it at once.
func (lp *loop) stop() {
	lp.poller.CloseMail()
	now := lp.opts.Now()
	for _, s := range lp.slots {
		if s.end != nil && s.end.isClient() {
			l := s.end.link
			l.guard(func() {
				l.finish(ReasonClosed, now)
				l.close()
			})
		}
	}
	for _, l := range lp.endRequests {
		close(l.done)
	}
	lp.endRequests = nil
	lp.stopped = true
}
