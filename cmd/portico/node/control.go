package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"portico/backend"
	"portico/health/admin"
	"portico/proxy/relay"
)

// moveSpread is the time over which the sessions of a database that moves end, so that their clients do not all come
// back at once.
const moveSpread = 5 * time.Second

// control is what the admin's API sees of a service and does to it. Its methods may be called from anywhere.
type control struct{ s *service }

var _ admin.Control = control{}

// tier returns the mailbox servers as they are configured now.
func (c control) tier() *backend.Tier { return c.s.now().tier() }

// Servers implements admin.Control.
func (c control) Servers(ctx context.Context) []admin.ServerState {
	tier := c.tier()
	names := tier.Servers()
	asked := tier.Answers(ctx)
	open := c.s.circuitBreakers.Open()
	active := make(map[string]int)
	for _, copied := range tier.ActiveManager().Copies() {
		if copied.Active {
			active[copied.Server]++
		}
	}
	states := []admin.ServerState{}
	for _, name := range names {
		reach := backend.ReachOf(asked[name])
		s := admin.ServerState{Name: name, State: stateOf(reach), Up: reach == backend.ReachUp, Active: active[name],
			Blocked: tier.ActiveManager().Blocked(name), Breaker: open[name]}
		queue := c.s.signinQueues.State(name)
		s.Policy, s.Paused, s.Waiting = string(tier.Policy(name)), queue.Paused.Seconds(), queue.Waiting
		for _, b := range tier.ActiveManager().Blockers(name) {
			s.BlockedBy, s.Blockers = append(s.BlockedBy, b.By), append(s.Blockers, c.s.blocker(name, b))
		}
		s.Error = reason(asked[name])
		states = append(states, s)
	}
	return states
}

// Databases implements admin.Control.
func (c control) Databases(ctx context.Context) []admin.CopyStatus {
	tier := c.tier()
	asked := tier.Answers(ctx)
	states := []admin.CopyStatus{}
	for _, copied := range tier.ActiveManager().Copies() {
		status := copyStatus(copied, asked[copied.Server])
		if !copied.Active {
			status.Barred = c.s.barred(copied.Server)
		}
		states = append(states, status)
	}
	return states
}

// copyStatus is a copy in the API's words; asked is what asking its server has found.
func copyStatus(c backend.CopyState, asked error) admin.CopyStatus {
	return admin.CopyStatus{
		Database: c.Database, Server: c.Server, Active: c.Active, Failed: c.Failed, Blocked: c.Blocked,
		Status: statusOf(c, backend.ReachOf(asked)), Error: reason(asked),
	}
}

// reason is an error's text, "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// stateOf is what is known of a mailbox server.
func stateOf(r backend.Reach) string {
	switch r {
	case backend.ReachUp:
		return admin.ServerUp
	case backend.ReachDown:
		return admin.ServerDown
	}
	return admin.ServerUnknown
}

// statusOf is a copy's state in Exchange's words. What could not be asked is Unknown.
func statusOf(c backend.CopyState, server backend.Reach) string {
	switch {
	case (c.Suspended || c.Lost) && !c.Moving:
		return "FailedAndSuspended"
	case c.Failed != "" && !c.Active:
		return "Failed"
	case c.Active && c.Moving:
		return "Dismounting"
	case server == backend.ReachUnknown:
		return "Unknown"
	case c.Active && server == backend.ReachUp:
		return "Mounted"
	case c.Active:
		return "Dismounted"
	case server == backend.ReachUp:
		return "Healthy"
	}
	return "ServiceDown"
}

// Block implements admin.Control.
func (c control) Block(ctx context.Context, server string, move bool) ([]backend.MoveResult, error) {
	if err := c.known(server); err != nil {
		return nil, err
	}
	if err := c.tier().ActiveManager().BlockAs(ctx, server,
		backend.Blocker{By: backend.ByOperator, Who: admin.Who(ctx)}); err != nil {
		return nil, err
	}
	c.s.log.Warn().Str("server", server).Bool("move", move).Msg("activation on a mailbox server blocked")
	if !move {
		return nil, nil
	}
	return c.s.evacuate(ctx, server)
}

// Unblock implements admin.Control.
func (c control) Unblock(ctx context.Context, server string) (admin.Change, error) {
	if err := c.known(server); err != nil {
		return admin.Change{}, err
	}
	was := c.activation(server)
	if err := c.tier().ActiveManager().Unblock(ctx, server, ""); err != nil {
		return admin.Change{}, err
	}
	c.s.log.Info().Str("server", server).Msg("activation on a mailbox server unblocked")
	return admin.Change{What: "activation on " + server, Was: was, Now: c.activation(server)}, nil
}

// activation says whether databases may be activated on a server.
func (c control) activation(server string) string {
	if c.tier().ActiveManager().Blocked(server) {
		return "blocked"
	}
	return "allowed"
}

func (c control) known(server string) error {
	if slices.Contains(c.tier().Servers(), server) {
		return nil
	}
	return admin.NoSuch("mailbox server", server, c.tier().Servers())
}

// SetPolicy implements admin.Control.
func (c control) SetPolicy(ctx context.Context, server, policy string) (admin.Change, error) {
	if err := c.known(server); err != nil {
		return admin.Change{}, err
	}
	var set backend.Policy
	for _, p := range []backend.Policy{backend.Unrestricted, backend.BlockedByPolicy, ""} {
		if strings.EqualFold(string(p), policy) {
			set = p
		}
	}
	if !strings.EqualFold(string(set), policy) {
		return admin.Change{}, fmt.Errorf("a policy must be %s or %s, not %q", backend.Unrestricted,
			backend.BlockedByPolicy, policy)
	}
	was := c.tier().Policy(server)
	if err := c.tier().ActiveManager().SetPolicy(ctx, server, set); err != nil {
		return admin.Change{}, err
	}
	now := c.tier().Policy(server)
	c.s.log.Warn().Str("server", server).Str("policy", string(now)).
		Msg("activation policy of a mailbox server changed")
	return admin.Change{What: "AutoActivationPolicy of " + server, Was: string(was), Now: string(now)}, nil
}

// Pause implements admin.Control.
func (c control) Pause(_ context.Context, server string, d time.Duration) (admin.Change, error) {
	if err := c.known(server); err != nil {
		return admin.Change{}, err
	}
	change := admin.Change{What: "sign-ins to " + server, Was: c.held(server)}
	if d == 0 {
		c.s.signinQueues.Resume(server)
		c.s.log.Warn().Str("server", server).Msg("sign-ins to a mailbox server resumed")
	} else {
		if err := c.s.signinQueues.Pause(server, d); err != nil {
			return admin.Change{}, err
		}
		c.s.log.Warn().Str("server", server).Dur("for", d).Msg("sign-ins to a mailbox server paused")
	}
	change.Now = c.held(server)
	return change, nil
}

// held says for how long the sign-ins to a server still wait, and how many do.
func (c control) held(server string) string {
	queue := c.s.signinQueues.State(server)
	if queue.Paused <= 0 {
		return "admitted"
	}
	return fmt.Sprintf("held for %v, %d waiting", queue.Paused.Round(time.Second), queue.Waiting)
}

// MoveUser implements admin.Control.
func (c control) MoveUser(ctx context.Context, user, database string) (admin.Place, error) {
	place, err := c.place(ctx, user)
	was := place.Database
	if err != nil && database != "" {
		return place, err // whom the directory does not know, nobody can sign in as
	}
	name := place.User
	if name == "" {
		if name, err = c.canonical(user); err != nil {
			return place, err
		}
	}
	ctx, done, err := c.s.moves.begin(ctx)
	if err != nil {
		return place, err
	}
	defer done()
	err = c.s.active.MoveUser(ctx, name, database, func(user string) { c.s.server.EndUser(user, relay.ReasonMoved) })
	if errors.Is(err, backend.ErrUnknownName) {
		return place, admin.NoSuch("database", database, c.Names().Databases)
	}
	if err != nil {
		return place, err
	}
	c.s.log.Warn().Str("user", name).Str("from", place.Database).Str("to", database).
		Msg("user moved by an operator")
	if place, err = c.place(ctx, user); place.Database != was {
		place.Was = was
	}
	admin.Changed(ctx, admin.Difference{What: "database of " + name, Old: was, New: place.Database})
	return place, err
}

// MoveDatabase implements admin.Control.
func (c control) MoveDatabase(ctx context.Context, database, server string, force bool) (change admin.Change,
	err error) {
	var failed error
	_, err = c.s.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
		from, _ := c.s.active.Active(database)
		change = admin.Change{What: "active copy of " + database, Was: from, Now: server}
		o.Force = force
		failed = c.tier().Move(ctx, database, server, o)
		return []backend.MoveResult{{Database: database, From: from, To: server, Err: failed}}
	})
	if errors.Is(failed, backend.ErrUnknownName) || errors.Is(failed, backend.ErrNoCopy) && c.known(server) != nil {
		return change, c.noSuchCopy(database, server)
	}
	if errors.Is(failed, backend.ErrFailed) {
		return change, fmt.Errorf("nothing has changed: %w; if the copy is intact, run `portico database copy "+
			"resume %s %s`, or add --force", failed, database, server)
	}
	if errors.Is(failed, backend.ErrNoAnswer) {
		return change, fmt.Errorf("nothing has changed: %w; to move it anyway, add --force", failed)
	}
	return change, errors.Join(err, failed)
}

// noSuchCopy says which name of a move is wrong, and whether the two are swapped.
func (c control) noSuchCopy(database, server string) error {
	names := c.Names()
	switch {
	case slices.Contains(names.Servers, database) && slices.Contains(names.Databases, server):
		return admin.Unknown(fmt.Errorf("%s is a mailbox server and %s a database: write the database first, "+
			"as in %s %s", database, server, server, database))
	case !slices.Contains(names.Databases, database):
		return admin.NoSuch("database", database, names.Databases)
	case !slices.Contains(names.Servers, server):
		return admin.NoSuch("mailbox server", server, names.Servers)
	}
	var copies []string
	for _, copied := range c.s.active.Copies() {
		if copied.Database == database {
			copies = append(copies, copied.Server)
		}
	}
	return admin.NoSuch("copy of "+database+" on", server, copies)
}

// Rebalance implements admin.Control.
func (c control) Rebalance(ctx context.Context) ([]backend.MoveResult, error) {
	return c.s.move(ctx, func(ctx context.Context, o backend.MoveOptions) []backend.MoveResult {
		return c.tier().Rebalance(ctx, o)
	})
}

// Slow implements admin.Control.
func (c control) Slow(context.Context) []admin.SlowCommand {
	all := []admin.SlowCommand{}
	for _, s := range c.s.server.Slow() {
		all = append(all, admin.SlowCommand{
			Ended: s.Ended.UTC().Truncate(time.Millisecond), Command: s.Verb, Seconds: s.Took.Seconds(),
			Result: s.Result,
			Server: s.Session.Server, User: s.Session.User, Session: s.Session.ID, Remote: s.Session.Remote.String(),
		})
	}
	return all
}
