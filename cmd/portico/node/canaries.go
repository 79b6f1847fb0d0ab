package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"portico/backend"
	"portico/configs"
	"portico/health/admin"
	"portico/proxy"
	"portico/proxy/history"
)

// canariesAPI implements admin.Canaries.
type canariesAPI struct{ s *service }

// Canaries implements admin.Canaries.
func (c canariesAPI) Canaries(name string) []admin.Canary {
	all := []admin.Canary{}
	for _, is := range c.s.mailbox.active.Canaries() {
		if name != "" && is.Name != name {
			continue
		}
		shown := admin.Canary{Name: is.Name, Database: is.Database, Server: is.Server, Percent: is.Percent,
			Users: is.Users, Since: is.Since, StopIf: is.Limits.String()}
		if !is.Until.IsZero() {
			shown.Until = &is.Until
		}
		copies := c.s.mailbox.active.Interchangeable(is.Database)
		switch at, _ := c.s.mailbox.active.Active(is.Database); {
		case copies == nil:
			shown.Reason = "the database is not configured"
		case len(copies) == 0:
			shown.Reason = "the copies of the database are not interchangeable any more"
		case !slices.Contains(copies, is.Server):
			shown.Reason = "the server has no copy of the database any more"
		case at == is.Server:
			shown.Reason = "the active copy is there, so all users are"
		}
		others := slices.DeleteFunc(copies, func(name string) bool { return name == is.Server })
		shown.Arms = []admin.CanaryArm{c.arm(is.Since, is.Server), c.arm(is.Since, others...)}
		all = append(all, shown)
	}
	return all
}

// arm is how users are served on servers since a time.
func (c canariesAPI) arm(since time.Time, servers ...string) admin.CanaryArm {
	arm := admin.CanaryArm{Servers: servers, Refused: make(map[string]uint64), Verbs: []admin.CanaryVerb{}}
	verbs, all := make(map[string]*history.Row), make(map[string]*history.Row)
	for _, server := range servers {
		q := history.Query{Server: server, Since: min(time.Since(since), time.Hour)}
		c.add(all, q)
		q.By = history.ByVerb
		c.add(verbs, q)
	}
	for _, row := range all {
		arm.Sessions += row.Sessions
		for result, n := range row.SignIns {
			if result == signedIn {
				arm.SignIns += n
			} else if n > 0 {
				arm.Refused[result] += n
			}
		}
	}
	for _, verb := range slices.Sorted(maps.Keys(verbs)) {
		if row := verbs[verb]; row.Times.Count > 0 {
			arm.Verbs = append(arm.Verbs, admin.NewCanaryVerb(verb, &row.Times, row.Errors))
		}
	}
	return arm
}

// signedIn is the result of a sign-in that has succeeded.
var signedIn = proxy.OutcomeSignedIn.String()

// add adds the rows of an answer.
func (c canariesAPI) add(to map[string]*history.Row, q history.Query) {
	for w := range c.s.figures.history.Windows(q, c.s.figures.now()) {
		for name, row := range w.Rows {
			if q.By == history.ByServer && name != q.Server {
				continue
			}
			if to[name] == nil {
				to[name] = &history.Row{SignIns: make(map[string]uint64)}
			}
			to[name].Sessions += row.Sessions
			to[name].Times.Add(&row.Times)
			to[name].Errors += row.Errors
			for result, n := range row.SignIns {
				to[name].SignIns[result] += n
			}
		}
	}
}

// StartCanary implements admin.Canaries. What runs already stays.
func (c canariesAPI) StartCanary(ctx context.Context, name string, o admin.CanaryStart) (admin.Change, error) {
	if !configs.IsName(name) {
		return admin.Change{}, admin.Of(admin.KindInvalid, fmt.Errorf("%q cannot be the name of a canary", name))
	}
	for _, other := range c.s.mailbox.active.Canaries() {
		if other.Name == name && other.Database != o.Database {
			return admin.Change{}, admin.Of(admin.KindInvalid,
				fmt.Errorf("database %s has a canary of that name", other.Database))
		}
	}
	users, err := c.canonical(o.Users)
	if err != nil {
		return admin.Change{}, err
	}
	limits, err := backend.ParseCanaryLimits(o.StopIf)
	if err != nil {
		return admin.Change{}, admin.Of(admin.KindInvalid, err)
	}
	return c.change(ctx, o.Database, backend.MoveOptions{}, func(now backend.Canary) (backend.Canary, error) {
		next := backend.Canary{Name: name, Database: o.Database, Server: o.Server, Percent: o.Percent, Users: users,
			Salt: rand.Text(), Since: time.Now().UTC().Truncate(time.Second), Limits: limits}
		if now.Server != "" {
			if now.Name != name || now.Server != o.Server {
				return now, fmt.Errorf("%w: %s", backend.ErrCanaryRuns, now.Name)
			}
			next.Salt, next.Since = now.Salt, now.Since
		}
		if o.Seconds > 0 {
			next.Until = time.Now().UTC().Truncate(time.Second).Add(time.Duration(o.Seconds) * time.Second)
		}
		return next, nil
	})
}

// canonical returns the one form of each of some users.
func (c canariesAPI) canonical(typed []string) (users []string, err error) {
	for _, user := range typed {
		name, err := c.s.clients.canonical(user)
		if err != nil {
			return nil, admin.Of(admin.KindInvalid, err)
		}
		users = append(users, name)
	}
	return users, nil
}

// SetCanary implements admin.Canaries.
func (c canariesAPI) SetCanary(ctx context.Context, name string, to admin.CanarySet) (admin.Change, error) {
	var limits backend.CanaryLimits
	if to.StopIf != nil {
		var err error
		if limits, err = backend.ParseCanaryLimits(*to.StopIf); err != nil {
			return admin.Change{}, admin.Of(admin.KindInvalid, err)
		}
	}
	var names []string
	for _, is := range c.s.mailbox.active.Canaries() {
		if names = append(names, is.Name); is.Name != name {
			continue
		}
		return c.change(ctx, is.Database, backend.MoveOptions{}, func(now backend.Canary) (backend.Canary, error) {
			if now.Name != name {
				return now, admin.NoSuch("canary", name, nil)
			}
			if to.Percent != nil {
				now.Percent = *to.Percent
			}
			if to.StopIf != nil {
				now.Limits = limits
			}
			return now, nil
		})
	}
	return admin.Change{}, admin.NoSuch("canary", name, names)
}

// StopCanary implements admin.Canaries.
func (c canariesAPI) StopCanary(ctx context.Context, name string) (admin.Change, error) {
	return c.stop(ctx, name, "", backend.MoveOptions{})
}

// stop stops a canary, if it is on a server; "" is any.
func (c canariesAPI) stop(ctx context.Context, name, server string, o backend.MoveOptions) (admin.Change, error) {
	ours := func(is backend.Canary) bool { return is.Name == name && (server == "" || is.Server == server) }
	for _, is := range c.s.mailbox.active.Canaries() {
		if ours(is) {
			return c.change(ctx, is.Database, o, func(now backend.Canary) (backend.Canary, error) {
				if !ours(now) {
					return now, nil
				}
				return backend.Canary{}, nil
			})
		}
	}
	return admin.Change{What: "canary " + name, Was: canaryWords(backend.Canary{}),
		Now: canaryWords(backend.Canary{})}, nil
}

// change changes the canary of a database. Of o, the patience with absent nodes counts.
func (c canariesAPI) change(ctx context.Context, database string, o backend.MoveOptions,
	decide func(backend.Canary) (backend.Canary, error)) (change admin.Change, err error) {
	ctx, done, err := c.s.moves.underWay.begin(ctx)
	if err != nil {
		return change, err
	}
	defer done()
	err = c.s.mailbox.active.ChangeCanary(ctx, database, func(now backend.Canary) (backend.Canary, error) {
		next, err := decide(now)
		change = admin.Change{What: "canary " + cmp.Or(next.Name, now.Name), Was: canaryWords(now),
			Now: canaryWords(next)}
		return next, err
	}, c.s.sessions.endUsers, o)
	if errors.Is(err, backend.ErrUnknownName) {
		return change, admin.NoSuch("database", database, c.s.names().Databases)
	}
	if err == nil && change.Was != change.Now {
		c.s.log.Warn().Str("database", database).Str("was", change.Was).Str("now", change.Now).
			Msg("canary changed")
		c.s.monitoring.plan()
	}
	return change, err
}

// canaryWords say who is on a canary.
func canaryWords(c backend.Canary) string {
	if c.Server == "" {
		return "none"
	}
	words := strconv.FormatFloat(math.Round(c.Percent*100)/100, 'f', -1, 64) + " % of " + c.Database + " on " + c.Server
	if n := len(c.Users); n > 0 {
		words += fmt.Sprintf(" and %d named", n)
	}
	if limits := c.Limits.String(); limits != "" {
		words += ", stopped if " + limits
	}
	return words
}

// canaryTick is how late a canary may end.
const canaryTick = 10 * time.Second

// endCanaries stops canaries whose time is over, until ctx ends.
func (c canariesAPI) endCanaries(ctx context.Context) {
	ticker := time.NewTicker(canaryTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			c.endOver(ctx, now)
		}
	}
}

// endOver stops canaries whose time is over.
func (c canariesAPI) endOver(ctx context.Context, now time.Time) {
	for _, is := range c.s.mailbox.active.Canaries() {
		if is.Until.IsZero() || now.Before(is.Until) {
			continue
		}
		var o backend.MoveOptions
		_, err := c.change(ctx, is.Database, o, func(present backend.Canary) (backend.Canary, error) {
			if !present.Until.Equal(is.Until) { // another node was first
				return present, nil
			}
			return backend.Canary{}, nil
		})
		if err != nil && ctx.Err() == nil {
			c.s.log.report("cannot end a canary", err)
		}
	}
}
