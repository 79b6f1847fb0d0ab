package relay

import "time"

// drain is how far a loop has drained. It ends some quiet sessions at each tick, so that their clients do not all
// reconnect at once. Busy sessions end when their last command is answered.
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
	lp.signalEmpty()
	lp.drainSome(lp.opts.Now())
}

// signalEmpty closes the channels in drain.emptied if no session is left.
func (lp *loop) signalEmpty() {
	if lp.sessions > 0 {
		return
	}
	for _, emptied := range lp.drain.emptied {
		close(emptied)
	}
	lp.drain.emptied = nil
}

// endDrain ends the remaining sessions, with or without open commands, and those that come later.
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
		if e == nil || !e.isClient() || e.link.phase != phaseCarrying {
			continue
		}
		if l := e.link; l.quiet(l.client.held.len() > 0) {
			l.protect(func() { l.finish(ReasonDrain, now) })
			left--
		}
	}
}

// endAll ends every session, with or without open commands, and allows little time for the last bytes.
func (lp *loop) endAll(r Reason) {
	now := lp.opts.Now()
	for _, s := range lp.slots {
		if s.end == nil || !s.end.isClient() {
			continue
		}
		l := s.end.link
		l.protect(func() {
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
			l.protect(func() {
				l.finish(ReasonClosed, now)
				l.close()
			})
		}
	}
	for _, request := range lp.endRequests {
		close(request.done)
	}
	lp.endRequests = nil
	lp.stopped = true
}
