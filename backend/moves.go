package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// MoveResult is what became of a database that was to move.
type MoveResult struct {
	Database string
	From, To string // To is "" if it stays
	Err      error  // why it stays, or nil if it has moved
}

// ErrNoHealthyCopy says that no other server with a copy answers and may have it.
var ErrNoHealthyCopy = errors.New("no healthy copy")

// Check says whether a mailbox server can be reached now: it connects, does TLS, and reads greeting and capabilities. Errors are
// *Error, or wrap ErrUnknownName.
func (t *Tier) Check(ctx context.Context, server string) error {
	s := t.servers[server]
	if s == nil {
		return fmt.Errorf("mailbox server %s: %w", server, ErrUnknownName)
	}
	c := &conversation{ctx: ctx, tier: t, server: s, laps: stopwatch{now: t.now}}
	if err := c.connect(); err != nil {
		return err
	}
	defer c.conn.Close()
	stop := context.AfterFunc(ctx, func() { interrupt(c.conn) })
	defer stop()
	if err := c.prepare(); err != nil {
		return err
	}
	t.survey.learn(server, c.capabilities)
	return nil
}

// Servers lists the names of the mailbox servers, sorted.
func (t *Tier) Servers() []string {
	return slices.Sorted(maps.Keys(t.servers))
}

// Healthy checks servers at the same time.
func (t *Tier) Healthy(ctx context.Context, servers []string) map[string]error {
	var mu sync.Mutex
	var group sync.WaitGroup
	found := make(map[string]error)
	for _, name := range servers {
		group.Go(func() {
			err := t.Check(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			found[name] = err
		})
	}
	group.Wait()
	return found
}

// Move is ActiveManager.Move; the sign-ins that have waited, and the clients that come back, are let in at the set pace.
func (t *Tier) Move(ctx context.Context, database, server string, end func(database string)) error {
	from, _ := t.active.Active(database)
	t.gates.slow(server)
	err := t.active.Move(ctx, database, server, end)
	if err == nil {
		t.gates.sendAway(from)
	}
	return err
}

// Policy returns a server's policy: as it was changed by command, else as it is configured.
func (t *Tier) Policy(server string) Policy {
	if p := t.active.Policy(server); p != "" {
		return p
	}
	if s := t.servers[server]; s != nil && s.policy != "" {
		return s.policy
	}
	return Unrestricted
}

// Evacuate moves every database whose active copy is on a server to the next copy, in its order, that is healthy and not blocked. A
// database without one stays. end is as in ActiveManager.Move.
func (t *Tier) Evacuate(ctx context.Context, server string, end func(database string)) []MoveResult {
	return t.moveEach(ctx, end, func(copies []CopyState, active int) (wanted []CopyState, concerned bool) {
		return slices.Concat(copies[active+1:], copies[:active]), copies[active].Server == server
	})
}

// MoveAway moves a database that is active on a server to its next copy that is healthy and not blocked. There is no result if it is not active
// there.
func (t *Tier) MoveAway(ctx context.Context, database, server string, end func(database string)) []MoveResult {
	return t.moveEach(ctx, end, func(copies []CopyState, active int) (wanted []CopyState, concerned bool) {
		return slices.Concat(copies[active+1:], copies[:active]), copies[active].Server == server && copies[active].Database == database
	})
}

// Rebalance moves every database to its first copy that is healthy and not blocked.
func (t *Tier) Rebalance(ctx context.Context, end func(database string)) []MoveResult {
	return t.moveEach(ctx, end, func(copies []CopyState, active int) (wanted []CopyState, concerned bool) {
		return copies[:active], active > 0
	})
}

// moveEach moves each database that is concerned to the first of the copies wanted that will do. choose gets a database's copies, and
// which of them is active.
func (t *Tier) moveEach(
	ctx context.Context, end func(string), choose func(copies []CopyState, active int) (wanted []CopyState, concerned bool),
) []MoveResult {
	var results []MoveResult
	all := t.active.Copies()
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Database == all[0].Database {
			n++
		}
		copies := all[:n]
		all = all[n:]
		active := slices.IndexFunc(copies, func(c CopyState) bool { return c.Active })
		if wanted, concerned := choose(copies, active); concerned {
			results = append(results, t.moveToFirst(ctx, copies[active], wanted, end))
		}
	}
	return results
}

func (t *Tier) moveToFirst(ctx context.Context, active CopyState, wanted []CopyState, end func(string)) MoveResult {
	r := MoveResult{Database: active.Database, From: active.Server, Err: ErrNoHealthyCopy}
	for _, c := range wanted {
		if c.Blocked || t.Policy(c.Server) == BlockedByPolicy {
			r.Err = ErrBlocked
			continue
		}
		if err := t.Check(ctx, c.Server); err != nil {
			r.Err = fmt.Errorf("%w: %w", ErrNoHealthyCopy, err)
			continue
		}
		if r.Err = t.Move(ctx, c.Database, c.Server, end); r.Err == nil {
			r.To = c.Server
		}
		return r
	}
	return r
}

// Done ends the sign-in that Route has begun: it has failed, or its session is where a move finds it.
func (t *Tier) Done(r Route) {
	if r.leased {
		t.active.release(r.Database, r.User)
	}
}
