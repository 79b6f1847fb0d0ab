package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portico/health"
)

// ErrUnknown says that there is no such action.
var ErrUnknown = errors.New("unknown recovery action")

// ErrThrottled says that an action was done too often.
var ErrThrottled = errors.New("throttled")

// turn waits until no other action is in progress. It returns an error if ctx ends first: the caller has gone, so no
// action begins. The caller must call endTurn at the end.
func (r *Responders) turn(ctx context.Context) error {
	select {
	case r.acting <- struct{}{}:
		if ctx.Err() == nil {
			return nil
		}
		r.endTurn()
	case <-ctx.Done():
	}
	return turnError(ctx)
}

func turnError(ctx context.Context) error {
	return fmt.Errorf("nothing was done, because another step was in progress: %w", context.Cause(ctx))
}

func (r *Responders) endTurn() {
	r.giveTurn()
	<-r.acting
}

// turnFor is turn, and waits until no other node acts if an action is for a mailbox server.
func (r *Responders) turnFor(ctx context.Context, action Action) error {
	for {
		if err := r.turn(ctx); err != nil || !r.sharesAction(action) {
			return err
		}
		err := r.take(ctx)
		if err == nil {
			return nil
		}
		r.endTurn()
		if !errors.Is(err, errActing) {
			return fmt.Errorf("nothing was done: %w", err)
		}
		select {
		case <-ctx.Done():
			return turnError(ctx)
		case <-time.After(askAgain):
		}
	}
}

// askAgain is how often an operator's request looks whether another node still acts.
const askAgain = 250 * time.Millisecond

// ByHand does an action on request, after other actions, and returns its record. The recovery log gets the record, and
// the action counts for throttling. An operator's request is never throttled, only a machine's.
func (r *Responders) ByHand(
	ctx context.Context, action Action, c Case, requestor string, machine bool,
) (Record, error) {
	actor, ok := r.opt.Actors[action]
	if !ok {
		return Record{}, fmt.Errorf("%s: %w", action, ErrUnknown)
	}
	if err := r.turnFor(ctx, action); err != nil {
		return Record{}, err
	}
	defer r.endTurn()
	record := r.newRecord(action, c, requestor, r.opt.Now())
	throttle := r.plan().Throttles[action]
	if v := throttle.judge(r.log.Records(), record.ID, record.Resource, record.Start); machine && v.reason != "" &&
		!r.mayExceed(ctx, action, c) {
		record.Throttle, record.ThrottledBy = throttle.String(), record.ID+"/"+record.Resource
		record.AllowedAgain = v.again
		record = r.enter(ctx, record, ResultThrottled, v.reason)
		return record, fmt.Errorf("%s of %s: %s: %w", action, record.Resource, v.reason, ErrThrottled)
	}
	record.State = Started
	r.write(ctx, &record)
	if r.sharesAction(action) {
		if err := r.confirm(ctx, record); err != nil {
			return r.end(ctx, record, ResultSkipped, err.Error(), nil), Skipped(err.Error())
		}
	}
	c.Instance = record.Instance
	what, err := actor.do(ctx, c, r.stepTime())
	var skipped Skipped
	var partial Partial
	switch {
	case errors.As(err, &skipped):
		return r.end(ctx, record, ResultSkipped, string(skipped), nil), err
	case errors.As(err, &partial):
		return r.end(ctx, record, ResultIncomplete, string(partial), nil), nil
	case err != nil:
		return r.end(ctx, record, ResultFailed, what, err), err
	}
	if action.Restarts() {
		r.opt.Follow(selfTestID(c.Server), r.opt.Now().Add(r.plan().Wait))
	}
	return r.end(ctx, record, ResultSucceeded, what, nil), nil
}

// mayExceed says whether an action may be done although its throttle forbids it: users can move to a sound copy.
func (r *Responders) mayExceed(ctx context.Context, action Action, c Case) bool {
	return action == Failover && r.standsBy(ctx, c, snapshot{all: r.opt.Monitors(), active: r.opt.Active})
}

// Lift takes back what ByHand has done. It does not lift the block of a mailbox server whose own probe fails: the
// server may still be starting. The block is then lifted when that server's monitor is healthy, and the record says
// so.
func (r *Responders) Lift(ctx context.Context, action Action, c Case, requestor string) (Record, error) {
	actor := r.opt.Actors[action]
	if actor.Undo == nil {
		return Record{}, nil
	}
	if err := r.turnFor(ctx, action); err != nil {
		return Record{}, err
	}
	defer r.endTurn()
	record := r.newRecord(action, c, requestor, r.opt.Now())
	record.ID = kinds[action].lifted
	if self := selfTestOf(c.Server); action == Failover {
		if result := r.opt.Verify(ctx, self); result != nil && result.Type != health.Succeeded {
			r.adoptBlock(ctx, self)
			const why = "%s does not accept sign-ins yet: %s; the block is lifted when %s is Healthy"
			return r.enter(ctx, record, ResultSkipped, fmt.Sprintf(why, c.Server, result.Err, self.ID())), nil
		}
	}
	err := actor.Undo(ctx, c)
	if err != nil {
		record.Exception = err.Error()
		return r.enter(ctx, record, ResultFailed, ""), err
	}
	return r.enter(ctx, record, ResultSucceeded, ""), nil
}
