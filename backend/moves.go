package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MoveResult is what became of a database that was to move.
type MoveResult struct {
	Database string
	From, To string // To is "" if it stays
	Err      error  // why it stays, or nil if it has moved
}

// ErrNoHealthyCopy says that no other server with a copy answers and is allowed to take the database.
var ErrNoHealthyCopy = errors.New("no healthy copy")

// Move is ActiveManager.Move; the sign-ins that have waited, and the clients that come back, are let in at the set
// pace. Without Force, the server has to answer, and its copy must not be Failed.
func (t *Tier) Move(ctx context.Context, database, server string, o MoveOptions) error {
	if !o.Force && t.active.moves(database, server) {
		if f, failed := t.active.Failed(database, server); failed {
			return fmt.Errorf("database %s, mailbox server %s: %w: %s", database, server, ErrFailed, f.Reason)
		}
		if err := t.checkQuickly(ctx, server); err != nil {
			return fmt.Errorf("database %s, mailbox server %s: %w: %w", database, server, ErrNoAnswer, err)
		}
	}
	return t.move(ctx, database, server, o)
}

// move is Move to a server that answers, or does not have to.
func (t *Tier) move(ctx context.Context, database, server string, o MoveOptions) error {
	from, _ := t.active.Active(database)
	t.protection.queues.slow(server)
	err := t.active.Move(ctx, database, server, o)
	if err == nil {
		t.protection.queues.sendAway(from)
	}
	return err
}

// Evacuate moves every database whose active copy is on a server to the next copy, in its order, that is healthy and
// not blocked. A database without one stays.
func (t *Tier) Evacuate(ctx context.Context, server string, o MoveOptions) []MoveResult {
	checked := t.CheckEach(ctx, slices.DeleteFunc(t.Servers(), func(name string) bool { return name == server }))
	return t.moveEach(ctx, o, checked, func(copies []CopyState, active int) (wanted []CopyState, concerned bool) {
		return others(copies, active), copies[active].Server == server
	})
}

// MoveAway moves a database that is active on a server to its next copy that is healthy and not blocked. There is no
// result if it is not active there.
func (t *Tier) MoveAway(ctx context.Context, database, server string, o MoveOptions) []MoveResult {
	var servers []string
	for _, c := range t.active.Copies() {
		if c.Database == database && !c.Active && !c.Lost {
			servers = append(servers, c.Server)
		}
	}
	return t.moveEach(ctx, o, t.CheckEach(ctx, servers),
		func(copies []CopyState, active int) (wanted []CopyState, concerned bool) {
			return others(copies, active), copies[active].Server == server && copies[active].Database == database
		})
}

// others lists the copies that are not active, beginning with the one behind the active.
func others(copies []CopyState, active int) []CopyState {
	return slices.Concat(copies[active+1:], copies[:active])
}

// Rebalance moves every database to its first copy that is healthy and not blocked. One whose active copy is on a
// server that does not answer moves to any such copy. A server that could not be asked keeps what it has, unless a
// copy before it is healthy.
func (t *Tier) Rebalance(ctx context.Context, o MoveOptions) []MoveResult {
	checked := t.CheckEach(ctx, t.Servers())
	return t.moveEach(ctx, o, checked, func(copies []CopyState, active int) (wanted []CopyState, concerned bool) {
		if ReachOf(checked[copies[active].Server]) == ReachDown {
			return slices.Concat(copies[:active], copies[active+1:]), true
		}
		return copies[:active], active > 0
	})
}

// moveEach moves each database that is concerned to the first of the copies wanted that will do. checked is what
// CheckEach has found: a server that did not answer then is not asked again for each database. choose gets a database's
// copies, and which of them is active. Databases that are moving already come last: what they come to decides whether
// they are concerned.
func (t *Tier) moveEach(
	ctx context.Context, o MoveOptions, checked map[string]error,
	choose func(copies []CopyState, active int) (wanted []CopyState, concerned bool),
) []MoveResult {
	var results []MoveResult
	var moving []string
	for _, copies := range byDatabase(t.active.Copies()) {
		if copies[0].Moving {
			moving = append(moving, copies[0].Database)
			continue
		}
		results = t.moveChosen(ctx, o, checked, copies, choose, results)
	}
	for _, name := range moving {
		copies, err := t.active.idle(ctx, name)
		if err != nil {
			at, _ := t.active.Active(name)
			results = append(results, MoveResult{Database: name, From: at, Err: err})
		} else if len(copies) > 0 {
			results = t.moveChosen(ctx, o, checked, copies, choose, results)
		}
	}
	slices.SortFunc(results, func(a, b MoveResult) int { return strings.Compare(a.Database, b.Database) })
	return results
}

func (t *Tier) moveChosen(
	ctx context.Context, o MoveOptions, checked map[string]error, copies []CopyState,
	choose func([]CopyState, int) ([]CopyState, bool), results []MoveResult,
) []MoveResult {
	active := slices.IndexFunc(copies, func(c CopyState) bool { return c.Active })
	if wanted, concerned := choose(copies, active); concerned {
		results = append(results, t.moveToFirst(ctx, copies[active], wanted, checked, o))
	}
	return results
}

// byDatabase splits copies, which are sorted by database.
func byDatabase(all []CopyState) (split [][]CopyState) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Database == all[0].Database {
			n++
		}
		split = append(split, all[:n])
		all = all[n:]
	}
	return split
}

// moveToFirst moves a database to the first copy that will do. Why it stays where none does names each copy.
func (t *Tier) moveToFirst(
	ctx context.Context, active CopyState, wanted []CopyState, checked map[string]error, o MoveOptions,
) MoveResult {
	r := MoveResult{Database: active.Database, From: active.Server}
	if active.Lost {
		r.Err = fmt.Errorf("%w: move it with portico database move", ErrLost)
		return r
	}
	o.from = active.Server
	var reasons []error
	for _, c := range wanted {
		if err := t.unfit(ctx, c, checked[c.Server], o); err != nil {
			reasons = append(reasons, err)
			continue
		}
		if r.Err = t.move(ctx, c.Database, c.Server, o); r.Err == nil {
			r.To = c.Server
		}
		return r
	}
	r.Err = ErrNoHealthyCopy
	if len(reasons) > 0 {
		r.Err = &noCopyError{reasons}
	}
	return r
}

// unfit says why nothing may be moved to a copy without being asked for by name, or nil. asked is why its server did
// not answer at the beginning of the round, or nil: then it is asked again, since databases before this one may have
// taken long.
func (t *Tier) unfit(ctx context.Context, c CopyState, asked error, o MoveOptions) error {
	if err := t.barred(c, o); err != nil {
		return err
	}
	if asked == nil {
		asked = t.checkQuickly(ctx, c.Server)
	}
	if asked != nil {
		return fmt.Errorf("%w (%s): %w", ErrNoHealthyCopy, c.Server, asked)
	}
	return nil
}

// barred says why nothing may be moved to a copy, whether its server answers or not, without being asked for by name,
// or nil.
func (t *Tier) barred(c CopyState, o MoveOptions) error {
	if c.Blocked && !t.lifted(c.Server, o) || t.Policy(c.Server) == BlockedByPolicy {
		return fmt.Errorf("%w (%s)", ErrBlocked, c.Server)
	}
	if c.Failed != "" {
		return fmt.Errorf("%w (%s): %w: %s", ErrNoHealthyCopy, c.Server, ErrFailed, c.Failed)
	}
	if o.ServerFails != nil {
		if err := o.ServerFails(c.Server); err != nil {
			return fmt.Errorf("%w (%s): %w", ErrNoHealthyCopy, c.Server, err)
		}
	}
	return nil
}

// lifted says whether all blocks of a server are taken for lifted.
func (t *Tier) lifted(server string, o MoveOptions) bool {
	return o.Lifted != nil && !slices.ContainsFunc(t.active.BlockedBy(server), func(by string) bool {
		return !o.Lifted(server, by)
	})
}

// noCopyError is why a database stays: what keeps it from each other copy.
type noCopyError struct{ reasons []error }

// Error names each copy.
func (e *noCopyError) Error() string {
	words := make([]string, len(e.reasons))
	for i, err := range e.reasons {
		words[i] = err.Error()
	}
	return strings.Join(words, "; ")
}

// Unwrap returns the reasons.
func (e *noCopyError) Unwrap() []error { return e.reasons }
