package recovery

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"portico/health"
)

// cautious lists the mailbox servers that recovery keeps blocked although they work now: they flap, or their probes
// have not succeeded often enough in a row. A server that could not read mail is not among them.
func (r *Responders) cautious(s snapshot) (servers []string) {
	absolute := make(map[string]bool)
	for _, l := range r.ladders {
		if !slices.Contains(l.Lift, Failover) {
			continue
		}
		absolute[l.Server] = absolute[l.Server] || !l.Since.IsZero() || l.Begun != 0 || l.Database != "" ||
			len(l.Unread) > 0
	}
	for server, keeps := range absolute {
		if !keeps && health.ServerWorks(server, s.all) {
			servers = append(servers, server)
		}
	}
	slices.Sort(servers)
	return servers
}

// spare lists those cautious servers that have the only copy to which a database of a case can move, and whose probe
// succeeds now. Their blocks are a preference: a copy on such a server is better than none.
func (r *Responders) spare(ctx context.Context, c Case, s snapshot) (servers []string) {
	cautious := r.cautious(s)
	if len(cautious) == 0 || r.opt.Standby == nil {
		return nil
	}
	without := r.opt.Standby(ctx, c, nil)
	with := r.opt.Standby(ctx, c, cautious)
	for _, database := range slices.Sorted(maps.Keys(with)) {
		server := with[database]
		if without[database] == "" && slices.Contains(cautious, server) && !slices.Contains(servers, server) &&
			r.serves(ctx, server, s) {
			servers = append(servers, server)
		}
	}
	return servers
}

// free lifts recovery's block of a mailbox server, because a ladder has no other copy for its users. It says whether
// the block is lifted.
func (r *Responders) free(ctx context.Context, l *Ladder, server string) bool {
	record := r.newRecord(Failover, Case{Monitor: l.Monitor, Server: server}, Failover.Responder(nameOf(l.Monitor)),
		r.opt.Now())
	record.ID = kinds[Failover].lifted
	if err := r.opt.Actors[Failover].Undo(ctx, Case{Server: server}); err != nil {
		record.Exception = err.Error()
		r.enter(ctx, record, ResultFailed, "it will be retried")
		return false
	}
	for _, keeper := range r.ladders {
		if keeper.Server == server {
			r.dropBlock(ctx, keeper)
		}
	}
	const why = "users of %s have no access, no other copy serves, and %s now does"
	r.enter(ctx, record, ResultSucceeded, fmt.Sprintf(why, l.Server, server))
	return true
}

// blocked says whether recovery's block of a mailbox server exists.
func (r *Responders) blocked(server string) bool {
	return r.opt.Blocked == nil || r.opt.Blocked(server)
}

// dropBlock removes the block from a ladder, because it no longer exists.
func (r *Responders) dropBlock(ctx context.Context, l *Ladder) {
	if !slices.Contains(l.Lift, Failover) {
		return
	}
	l.Lift = slices.DeleteFunc(slices.Clone(l.Lift), func(a Action) bool { return a == Failover })
	l.Unread, l.Mixed = nil, false
	if l.Since.IsZero() {
		l.Note = ""
	}
	r.save(ctx, l)
}
