package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// Ladder has the recovery steps of one monitor, and how far they are. The store keeps it. It belongs to the goroutine
// that holds Responders.acting: Run, Escalated, ByHand or Lift.
type Ladder struct {
	Case
	// the monitor was unhealthy; zero while it is well, and the ladder only keeps Lift
	Since     time.Time `json:"since"`
	Rung      int       `json:"rung"`           // of the monitor's steps, the next
	Next      time.Time `json:"next"`           // when that is due
	Begun     uint64    `json:"begun"`          // the record of the step that is being done; 0 for none
	Owner     Owner     `json:"owner,omitzero"` // of that step
	Lift      []Action  `json:"lift,omitempty"` // what is to be taken back
	ForPeople bool      `json:"told"`           // it is for people now
	Note      string    `json:"note,omitempty"` // why nothing is done at present

	Escalated bool `json:"escalated,omitempty"` // people know of it: the recovery log says who

	// Postponed is the first step that came too soon, and Due when it is due. The steps behind it did not wait for it.
	Postponed int       `json:"postponed,omitempty"`
	Due       time.Time `json:"due,omitzero"`

	// Unread are databases whose mail could not be read on the server when they were moved away. Its block stays until
	// it can.
	Unread []string `json:"unread,omitempty"`

	// Mixed says that some of users' sign-ins to the server failed between others that succeeded, so one success of
	// its probe does not show that it is well.
	Mixed bool `json:"mixed,omitempty"`

	wellBefore int // how often in a row the server's own probe had succeeded during the fault; see updateSteady

	looked time.Time // when it was last looked whether users can be moved; see rescue
	held   time.Time // when nothing could be done last, since others failed too, or nobody was to blame
	blamed time.Time // when nobody that can be acted upon was to blame last
}

// seenByUsers says whether the ladder's monitor judges users' sign-ins.
func (l *Ladder) seenByUsers() bool {
	return catalogue.Of(nameOf(l.Monitor)).Evidence == catalogue.FromUsers
}

// settles says whether a case has just become one to act on, after a common cause or another fault. The last result
// may be older than that, and the next one may still be an effect of the earlier fault, so the ladder waits.
func (l *Ladder) settles(m health.MonitorState, now time.Time) bool {
	if !l.blamed.IsZero() && now.Sub(l.blamed) < lookAgain {
		return true
	}
	return !l.held.IsZero() && m.LastResult != nil && m.LastResult.Start.Before(l.held)
}

// lookAgain is how long a ladder waits for its monitor after its own run of the probe has succeeded.
const lookAgain = time.Minute

// nextStep does the next step of a ladder if it is due, and says whether it has done one. It does one step at most.
// Steps that cannot be done are recorded and skipped.
func (r *Responders) nextStep(ctx context.Context, l *Ladder, m health.MonitorState) (done bool) {
	plan, now := r.plan(), r.opt.Now()
	if l.Begun != 0 {
		return r.resume(ctx, l, m)
	}
	steps := plan.Ladders[m.Name]
	if now.Before(l.Next) {
		return false
	}
	l.returnToPostponed(now)
	if l.Rung >= len(steps) { // it has none, or fewer than it had, or all are done
		l.ForPeople = true
		return false
	}
	if !r.claim(ctx, l) {
		return false
	}
	failure, fine := r.verifyAndNote(ctx, l, m)
	if fine || ctx.Err() != nil {
		return false
	}
	now = r.opt.Now()
	for ; l.Rung < len(steps); l.Rung++ {
		action := steps[l.Rung]
		record := r.newRecord(action, l.Case, action.Responder(m.Name), now)
		if action == Escalate {
			l.ForPeople = true
			continue
		}
		if action == Failover && r.rescued(l) {
			continue // users were moved before; see rescue
		}
		unfit, throttle := l.unfit(action, failure), plan.Throttles[action]
		record.Throttle, record.ThrottledBy = throttle.String(), record.ID+"/"+record.Resource
		switch v := throttle.judge(r.log.Records(), record.ID, record.Resource, now); {
		case unfit != "":
			r.enter(ctx, record, ResultSkipped, unfit)
		case r.waitIfUnused(l, action, v, now):
			if v.reason != "" {
				record.AllowedAgain = v.again
				r.enter(ctx, record, ResultThrottled, v.reason)
			}
			return false
		case v.reason != "":
			record.AllowedAgain = v.again
			r.enter(ctx, record, ResultThrottled, v.reason)
			l.postpone(v.until, now)
		case plan.Mode == DryRun:
			r.enter(ctx, record, ResultDryRun, "dry run: the action would start now")
		default:
			if r.perform(ctx, l, action, record) {
				return true
			}
		}
	}
	l.ForPeople = true
	return false
}

// waitIfUnused postpones the next step if no database is active on the ladder's server, so that no user is affected. It
// sets when the step is due, notes why, and reports whether the ladder waits. A restart of the machine waits for a
// throttled restart of the service. Every step waits until Wait after the failover, or after the beginning of the
// fault.
func (r *Responders) waitIfUnused(l *Ladder, action Action, v verdict, now time.Time) bool {
	plan := r.plan()
	if !kinds[action].restarts || r.opt.InUse == nil || r.opt.InUse(l.Server) {
		return false
	}
	moved, _ := r.log.latest(func(record *Record) bool { return record.ID == kinds[Failover].id && record.of(l) })
	until := later(l.Since, moved.End).Add(plan.Wait)
	switch harder := slices.Contains(plan.Ladders[nameOf(l.Monitor)][l.Rung:], RestartServer); {
	case action == RestartService && v.reason != "" && harder:
		until = v.again
	case action == RestartService, v.reason != "":
		return false
	}
	if !now.Before(until) || until.Sub(now) > max(maxDelay, plan.Wait) {
		return false
	}
	l.Next = until
	l.Note = fmt.Sprintf("no database is active on %s: %s waits until %s", l.Server, action.ID(),
		until.UTC().Format(time.RFC3339))
	l.ForPeople = l.ForPeople || until.Sub(now) > plan.Wait
	return true
}

// maxDelay is how long a postponed step may wait. A step that would have to wait longer is skipped.
const maxDelay = time.Hour

// postpone records that the present step may be done from until on. The ladder continues with the next step, because
// users are affected.
func (l *Ladder) postpone(until, now time.Time) {
	if l.Due.IsZero() && !until.IsZero() && until.Sub(now) <= maxDelay {
		l.Postponed, l.Due = l.Rung, until
	}
}

// returnToPostponed goes back to the postponed step, if it is due.
func (l *Ladder) returnToPostponed(now time.Time) {
	if !l.Due.IsZero() && !now.Before(l.Due) {
		l.Rung, l.Postponed, l.Due = l.Postponed, 0, time.Time{}
	}
}

// fresh is how old a result may be to count as current.
const fresh = 10 * time.Second

// verifyAndNote runs the probe once more before a step, unless the probe has just failed. It notes on the ladder what
// it finds, and whether people are needed. fine means that there is nothing to do for now; the ladder then waits.
// Otherwise it returns the failure: the monitor's last one if it cannot run the probe.
func (r *Responders) verifyAndNote(ctx context.Context, l *Ladder, m health.MonitorState) (failure *health.Result,
	fine bool) {
	result := m.LastResult
	if result == nil || result.Type == health.Succeeded || r.opt.Now().Sub(result.End) >= fresh {
		result = r.opt.Verify(ctx, m)
	}
	if result == nil {
		return m.LastFailure, false
	}
	now := r.opt.Now()
	if result.Type == health.Succeeded || r.cameBack(ctx, l) {
		l.Note, l.Next = "the probe succeeds again: waiting for its monitor", now.Add(lookAgain)
		l.ForPeople = l.ForPeople || now.Sub(l.Since) > r.plan().Wait // it does not come round
		return nil, true
	}
	if reason := l.blameless(result); reason != "" {
		l.Note, l.ForPeople, l.Next, l.held, l.blamed = reason, true, now.Add(lookAgain), now, now
		return nil, true
	}
	l.Note = needsPeople(result)
	l.ForPeople = l.ForPeople || l.Note != ""
	return result, false
}

// cameBack runs the probe of a mailbox server, and reports whether the server works again before its monitor, which
// looks back over a minute, shows it: the latest users' sign-ins have succeeded, and the server's own probe succeeds
// now.
func (r *Responders) cameBack(ctx context.Context, l *Ladder) bool {
	if !l.seenByUsers() || r.opt.Users == nil {
		return false
	}
	if well, _ := r.opt.Users(l.Server); !well {
		return false
	}
	result := r.opt.Verify(ctx, selfTestOf(l.Server))
	return result != nil && result.Type == health.Succeeded
}

// perform does an action, and says whether it was done, so that the ladder waits for its effect. It stores the action
// before it begins.
func (r *Responders) perform(ctx context.Context, l *Ladder, action Action, record Record) (done bool) {
	actor, ok := r.opt.Actors[action]
	if !ok {
		r.enter(ctx, record, ResultSkipped, "no responder can do this")
		return false
	}
	record.State = Started
	// it was told that it is tried again
	stored := false
	if r.alike(l, Record{ID: record.ID, Resource: record.Resource, Result: ResultFailed}) {
		stored = r.putRecord(ctx, &record)
	} else {
		stored = r.write(ctx, &record)
	}
	if !stored && r.shares(l.Case) { // other nodes would know nothing of it
		r.end(ctx, record, ResultSkipped, "the store of the site cannot be written", nil)
		return true
	}
	l.Begun, l.Owner = record.Instance, r.owner
	if actor.Undo != nil && (action != Failover || !l.Alone) { // a database that moves alone leaves no block behind
		l.add(action)
	}
	if !r.save(ctx, l) {
		l.endStep()
		r.end(ctx, record, ResultSkipped, "another writer of the store has changed the ladder first", nil)
		return true
	}
	return r.do(ctx, l, l.Case, action, record, actor)
}

// do does a stored action. At a mailbox server of a site it begins if no other node has taken it over meanwhile.
func (r *Responders) do(ctx context.Context, l *Ladder, c Case, action Action, record Record,
	actor Actor) (done bool) {
	if r.shares(l.Case) {
		if err := r.confirm(ctx, record); err != nil || r.stepTime() <= 0 {
			if l.endStep(); r.save(ctx, l) { // else the ladder and the record are another node's now
				r.end(ctx, record, ResultSkipped, "another node acts, or the store of the site cannot be written", nil)
			}
			return true
		}
	}
	c.Instance = record.Instance
	what, err := actor.do(ctx, c, r.stepTime())
	if ctx.Err() != nil { // the process ends: the next one finds it begun
		r.keepTurn()
		return true
	}
	var skipped Skipped
	var partial Partial
	switch {
	case errors.As(err, &skipped):
		l.drop(action)
		r.endOnce(ctx, l, record, ResultSkipped, string(skipped), nil)
	case errors.As(err, &partial):
		r.opt.Helped(r.end(ctx, record, ResultIncomplete, string(partial), nil))
	case err != nil:
		r.endOnce(ctx, l, record, ResultFailed, what, err)
	default:
		record = r.end(ctx, record, ResultSucceeded, what, nil)
		done = true
		if kinds[action].informs {
			r.opt.Helped(record)
		}
	}
	l.endStep()
	if done {
		r.await(l, action)
	}
	r.save(ctx, l)
	return done
}

// endOnce ends the record of an action that was not done. If an earlier try for the same fault ended in the same way,
// its record is enough.
func (r *Responders) endOnce(ctx context.Context, l *Ladder, record Record, result Result, what string, err error) {
	record.Result = result
	if r.alike(l, record) {
		r.log.drop(ctx, record.Instance)
		return
	}
	r.end(ctx, record, result, what, err)
}

// await gives a step time to take effect. After a restart, probes run more often, because only they show when the
// server is back. An early failover does not delay other steps, because it repairs no server.
func (r *Responders) await(l *Ladder, action Action) {
	if action == Failover {
		rung := slices.Index(r.plan().Ladders[nameOf(l.Monitor)], Failover)
		if l.Rung < rung {
			return
		}
		l.Rung = rung
	}
	l.Rung, l.Next = l.Rung+1, r.opt.Now().Add(r.plan().Wait)
	if action.Restarts() {
		r.opt.Follow(l.Monitor, l.Next)
		if self := selfTestID(l.Server); self != l.Monitor {
			r.opt.Follow(self, l.Next)
		}
	}
}

// add records that an action is to be taken back. It leaves the list itself alone: copies of the ladder share it.
func (l *Ladder) add(action Action) { l.Lift = append(slices.Clip(l.Lift), action) }

// drop forgets that an action is to be taken back.
func (l *Ladder) drop(action Action) {
	if n := len(l.Lift); n > 0 && l.Lift[n-1] == action {
		l.Lift = l.Lift[:n-1]
	}
}

// endStep records that no step is in progress.
func (l *Ladder) endStep() { l.Begun, l.Owner = 0, Owner{} }

// resume continues a step whose process has ended. It finishes a step that may be done twice, and does not repeat
// others. Of several writers that want to resume a step, the one that stores its claim first does. It returns whether
// it has changed anything but the ladder.
func (r *Responders) resume(ctx context.Context, l *Ladder, m health.MonitorState) (done bool) {
	begun := l.Begun
	if !r.claim(ctx, l) {
		return false
	}
	l.Owner = r.owner
	if !r.save(ctx, l) {
		return false
	}
	r.log.refresh(ctx, r.opt.Failed) // its owner may have ended it
	record, known := r.log.find(begun)
	action := actionOf(record.ID)
	inTurn := l.Rung < len(r.plan().Ladders[m.Name]) && r.plan().Ladders[m.Name][l.Rung] == action
	if known && record.State == Finished { // the ladder could not be stored afterwards
		l.endStep()
		switch {
		case record.Result == ResultSucceeded, record.Result == ResultInterrupted:
			r.await(l, action)
		case inTurn:
			l.Rung++
		}
		return false
	}
	if actor, ok := r.opt.Actors[action]; known && ok && kinds[action].again && (inTurn || action == Failover) {
		c := l.Case
		c.Resumed = true
		record.Node, record.ProcessStart = r.owner.Node, r.owner.ProcessStart
		if !r.do(ctx, l, c, action, record, actor) && inTurn {
			l.Rung++
		}
		return true
	}
	if known {
		r.end(ctx, record, ResultInterrupted, "Portico ended during the action; it is not repeated", nil)
	}
	l.endStep()
	r.await(l, action)
	return true
}
