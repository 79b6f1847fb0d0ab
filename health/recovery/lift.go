package recovery

import (
	"context"
	"fmt"
	"slices"

	"portico/health"
)

// release takes back what a ladder has done, as far as its servers are healthy, and reports whether nothing is left.
// The block of a mailbox server stays until that server's own monitor is healthy, whichever monitor caused the
// failover: the ladder of the server's own monitor keeps the block.
func (r *Responders) release(ctx context.Context, l *Ladder, s snapshot) (done bool) {
	if m, known := s.find(l.Monitor); known && m.Value == health.Disabled && len(l.Lift) > 0 &&
		!r.probeDisabled(ctx, l, m) {
		return false
	}
	self, watched := s.selfTest(l.Server)
	if watched && slices.Contains(l.Lift, Failover) && l.Database != "" { // it looks at another server now
		r.handOver(ctx, l, self, s)
	}
	if watched && slices.Contains(l.Lift, Failover) && len(l.Unread) > 0 && self.Value == health.Healthy &&
		!r.readUnread(ctx, l) {
		return false
	}
	if watched && slices.Contains(l.Lift, Failover) && !updateSteady(l, self) {
		l.Note = fmt.Sprintf("the server stays blocked until %s has succeeded %d times in a row", self.Probe,
			steadyAfter)
		return false
	}
	if watched && slices.Contains(l.Lift, Failover) && (self.Value != health.Healthy || self.InRow > 0) {
		switch {
		case self.ID() != l.Monitor:
			r.handOver(ctx, l, self, s)
		case self.Value != health.Disabled: // that a Disabled one is well, probeDisabled has found above
			if l.Since.IsZero() {
				l.Note = blockStays
			}
			return false
		}
	}
	return r.lift(ctx, l)
}

// steadyAfter is how many consecutive runs of its probe must succeed at a server that accepted some sign-ins and
// failed others.
const steadyAfter = 10

// updateSteady reports whether a server now succeeds reliably, if it failed only some sign-ins when a ladder moved its
// users away. If the server has failed since, the ladder counts from zero.
func updateSteady(l *Ladder, self health.MonitorState) bool {
	users := l.Mixed || l.seenByUsers()
	if !users || self.Value == health.Disabled {
		return true
	}
	if self.WellInRow < l.wellBefore { // it has failed since
		l.wellBefore = 0
	}
	return self.WellInRow-l.wellBefore >= steadyAfter
}

// WhyBlocked returns why recovery keeps a mailbox server blocked although the monitor that caused it no longer fails,
// or "".
func (r *Responders) WhyBlocked(server string) string {
	for _, l := range r.Ladders() {
		if l.Server != server || !l.Since.IsZero() || !slices.Contains(l.Lift, Failover) {
			continue
		}
		if l.Note == "" || l.Note == blockStays {
			return fmt.Sprintf("the server stays blocked until %s is Healthy", l.Monitor)
		}
		return l.Note
	}
	return ""
}

// BlockingMonitor returns the monitor whose ladder keeps a mailbox server blocked, or "". A monitor that still fails
// comes first.
func (r *Responders) BlockingMonitor(server string) (monitor string) {
	for _, l := range r.Ladders() {
		if l.Server == server && slices.Contains(l.Lift, Failover) && (monitor == "" || !l.Since.IsZero()) {
			monitor = l.Monitor
		}
	}
	return monitor
}

// blockStays is the note of a ladder that has nothing else to do.
const blockStays = "the server stays blocked until this monitor is Healthy"

// probeDisabled runs the probe of a Disabled monitor, because a Disabled monitor does not change, and reports whether
// it succeeds. After a failure it waits for a minute, and notes on the ladder why.
func (r *Responders) probeDisabled(ctx context.Context, l *Ladder, m health.MonitorState) bool {
	now := r.opt.Now()
	if now.Before(l.Next) {
		return false
	}
	result := r.opt.Verify(ctx, m)
	if result != nil && result.Type == health.Succeeded {
		return true
	}
	l.Note, l.Next = "its monitor is Disabled; actions are undone when the probe succeeds", now.Add(lookAgain)
	r.save(ctx, l)
	return false
}

// handOver gives a ladder's block to the ladder of the server's own monitor. If the cause was a database that could
// not be read, reading it must succeed before the block is lifted.
func (r *Responders) handOver(ctx context.Context, l *Ladder, self health.MonitorState, s snapshot) {
	r.adoptBlock(ctx, self)
	m, _ := s.find(l.Monitor)
	unread := l.Database != "" && m.LastFailure != nil && m.LastFailure.Dependency == health.InformationStore
	own := r.ladders[self.ID()]
	if unread && !slices.Contains(own.Unread, l.Database) {
		own.Unread = append(slices.Clip(own.Unread), l.Database)
	}
	if l.Mixed && !own.Mixed && !l.seenByUsers() {
		own.Mixed, own.wellBefore = true, l.wellBefore
	}
	r.save(ctx, own)
	r.dropBlock(ctx, l)
}

// readUnread reads the databases whose mail could not be read on a ladder's server. If all can be read now, it clears
// the list and reports true. Otherwise it notes the reason, and tries again after ten seconds.
func (r *Responders) readUnread(ctx context.Context, l *Ladder) bool {
	now := r.opt.Now()
	if r.opt.Read == nil {
		return true
	}
	if now.Before(l.Next) {
		return false
	}
	for _, database := range l.Unread {
		if err := r.opt.Read(ctx, database, l.Server); err != nil {
			l.Note, l.Next = fmt.Sprintf("the server stays blocked until %s can be read there: %v", database,
				err), now.Add(rescueEach)
			r.save(ctx, l)
			return false
		}
	}
	l.Unread, l.Note = nil, ""
	return true
}

// adoptBlock gives the block of a mailbox server to the ladder of the server's own monitor, which lifts it when that
// monitor is healthy.
func (r *Responders) adoptBlock(ctx context.Context, self health.MonitorState) {
	l := r.ladders[self.ID()]
	if l == nil {
		l = &Ladder{Case: Case{Monitor: self.ID(), Server: self.Target}, Note: blockStays}
		r.ladders[self.ID()] = l
	}
	if !slices.Contains(l.Lift, Failover) {
		l.add(Failover)
	}
	r.save(ctx, l)
}

// lift takes back what a ladder has done, the latest first, and says whether nothing is left. What fails is tried
// again later.
func (r *Responders) lift(ctx context.Context, l *Ladder) bool {
	if (l.Begun != 0 || len(l.Lift) > 0) && !r.claim(ctx, l) {
		return false
	}
	if l.Begun != 0 { // it was interrupted, and is not wanted any more
		r.interrupt(ctx, l.Begun)
		l.endStep()
	}
	for n := len(l.Lift); n > 0; n = len(l.Lift) {
		action := l.Lift[n-1]
		again := slices.Contains(l.Lift[:n-1], action) // it was done for an earlier fault too
		if actor := r.opt.Actors[action]; actor.Undo != nil && !again {
			now := r.opt.Now()
			record := r.newRecord(action, l.Case, action.Responder(nameOf(l.Monitor)), now)
			record.ID = kinds[action].lifted
			if err := actor.Undo(ctx, l.Case); err != nil {
				if l.Note == "" {
					record.Exception = err.Error()
					r.enter(ctx, record, ResultFailed, "it will be retried")
					l.Note = fmt.Sprintf("%s fails: %v", record.ID, err)
					r.save(ctx, l)
				}
				return false
			}
			r.enter(ctx, record, ResultSucceeded, "no longer needed")
		}
		l.Lift, l.Note = l.Lift[:n-1], ""
		r.save(ctx, l)
	}
	return true
}
