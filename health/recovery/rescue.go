package recovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"portico/health"
)

// rescueEach is how often recovery checks whether the users of a failing mailbox server can move to a sound copy.
const rescueEach = 10 * time.Second

// rescue moves users to a sound copy, if there is one, whatever else a ladder waits for, because the users cannot
// reach their mail. It reports whether it has done anything. It tries again after rescueEach; the recovery log has one
// record for attempts that end in the same way.
func (r *Responders) rescue(ctx context.Context, l *Ladder, m health.MonitorState, s snapshot) (done bool) {
	plan, now := r.plan(), r.opt.Now()
	rung := slices.Index(plan.Ladders[m.Name], Failover)
	if rung < 0 || plan.Mode != Act || l.Server == "" || now.Sub(l.looked) < rescueEach {
		return false
	}
	l.looked = now
	spare := r.spare(ctx, l.Case, s)
	if len(spare) == 0 && !r.standsBy(ctx, l.Case, s) {
		return false
	}
	if !r.claim(ctx, l) {
		return false
	}
	failure, fine := r.verifyAndNote(ctx, l, m)
	if fine || ctx.Err() != nil || l.unfit(Failover, failure) != "" {
		return false
	}
	for _, server := range spare {
		if !r.free(ctx, l, server) {
			return false
		}
	}
	record := r.newRecord(Failover, l.Case, Failover.Responder(m.Name), r.opt.Now())
	throttle := plan.Throttles[Failover]
	record.Throttle, record.ThrottledBy = throttle.String(), record.ID+"/"+record.Resource
	if v := throttle.judge(r.log.Records(), record.ID, record.Resource, record.Start); v.reason != "" {
		record.Excess, l.ForPeople = v.reason, true // a throttle leaves nobody out, but people look
	}
	return r.perform(ctx, l, Failover, record)
}

// standsBy says whether a database that a failover would move has a sound copy on another server: the server answers,
// its own monitor is well, and its probe succeeds now. It runs that probe.
func (r *Responders) standsBy(ctx context.Context, c Case, s snapshot) bool {
	if r.opt.Standby == nil {
		return false
	}
	servers := slices.Sorted(maps.Values(r.opt.Standby(ctx, c, nil)))
	return slices.ContainsFunc(slices.Compact(servers), func(server string) bool {
		return r.serves(ctx, server, s)
	})
}

// serves says whether a mailbox server is sound and its probe succeeds now.
func (r *Responders) serves(ctx context.Context, server string, s snapshot) bool {
	if !health.ServerWorks(server, s.all) {
		return false
	}
	result := r.opt.Verify(ctx, selfTestOf(server))
	return result == nil || result.Type == health.Succeeded || result.Type == health.Rejected // it was not run
}

// rescued says whether a ladder has moved users away in its present fault.
func (r *Responders) rescued(l *Ladder) bool {
	_, found := r.log.latest(func(record *Record) bool {
		return record.ID == kinds[Failover].id && record.Result == ResultSucceeded && record.of(l)
	})
	return found
}

// of says whether a record is of a ladder's present fault.
func (r *Record) of(l *Ladder) bool { return r.Monitor == l.Monitor && !r.Start.Before(l.Since) }

// alike says whether the latest step of this kind, for this fault, has ended as a record has.
func (r *Responders) alike(l *Ladder, record Record) bool {
	last, found := r.log.latest(func(other *Record) bool {
		return other.Instance != record.Instance && other.ID == record.ID && other.of(l)
	})
	return found && last.Result == record.Result && last.Resource == record.Resource
}

// follow has a ladder go after a database that fails on the server to which it has moved, if a sound copy stands by
// there too. The block of the server before becomes that server's own business.
func (r *Responders) follow(ctx context.Context, l *Ladder, now Case, s snapshot) bool {
	if !r.standsBy(ctx, now, s) {
		l.Note, l.ForPeople = fmt.Sprintf("%s has moved to %s and fails there too: an alert follows", now.Database,
			now.Server), true
		return false
	}
	if self, known := s.selfTest(l.Server); known && slices.Contains(l.Lift, Failover) {
		r.handOver(ctx, l, self, s)
	}
	l.Case, l.Rung, l.Next = now, 0, time.Time{}
	return true
}
