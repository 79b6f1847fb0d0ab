package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"portico/backend/move"
	"portico/configs/store"
)

// MaxCanaryUsers is how many users a canary may name.
const MaxCanaryUsers = 1000

// Canary sends a part of a database's users to one of its servers, so that people can compare how that one serves them
// with how the others serve the rest. The database's copies must be interchangeable.
type Canary struct {
	Name     string
	Database string
	Server   string
	Percent  float64   // of the users, by a hash of their names; in hundredths
	Salt     string    // of that hash
	Users    []string  // who are on it in any case, by canonical name
	Since    time.Time // when it was started
	Until    time.Time // when it ends by itself; zero for never
	Limits   CanaryLimits
}

// Reasons why a canary is refused; use errors.Is.
var (
	ErrNotInterchangeable = errors.New("the copies of the database are not interchangeable, so users would find " +
		"another mailbox")
	ErrCanaryActive  = errors.New("the active copy is on that server: users are there already")
	ErrCanaryRuns    = errors.New("the database has a canary already")
	ErrCanaryUsers   = fmt.Errorf("a canary names %d users at most", MaxCanaryUsers)
	ErrCanaryInvalid = errors.New("a canary takes 0.01 to 100 percent of the users, or names some; " +
		"to send all of them back, stop it")
)

// Has says whether a user is on the canary. With a higher percentage, those who are stay.
func (c Canary) Has(user string) bool {
	if c.Server == "" {
		return false
	}
	if _, named := slices.BinarySearch(c.Users, user); named {
		return true
	}
	return float64(mix(digest(c.Salt+"\x00"+user))%10_000) < math.Round(c.Percent*100)
}

// at is the server on which the canary has a user; "" for none.
func (c Canary) at(user string) string {
	if c.Has(user) {
		return c.Server
	}
	return ""
}

// place is the canary as a record says it; "" for none.
func (c Canary) place() string {
	if c.Server == "" {
		return ""
	}
	v := url.Values{"name": {c.Name}, "server": {c.Server}, "salt": {c.Salt}, "user": c.Users,
		"percent": {strconv.FormatFloat(c.Percent, 'f', -1, 64)}, "since": {c.Since.UTC().Format(time.RFC3339)}}
	if !c.Until.IsZero() {
		v.Set("until", c.Until.UTC().Format(time.RFC3339))
	}
	if c.Limits != (CanaryLimits{}) {
		v.Set("stop_if", c.Limits.String())
	}
	return v.Encode()
}

// canaryAt reads what place has written. One that cannot be read is on no server.
func canaryAt(database, place string) Canary {
	v, err := url.ParseQuery(place)
	if err != nil || place == "" {
		return Canary{Database: database}
	}
	c := Canary{Name: v.Get("name"), Database: database, Server: v.Get("server"), Salt: v.Get("salt"),
		Users: v["user"]}
	c.Percent, _ = strconv.ParseFloat(v.Get("percent"), 64)
	c.Since, _ = time.Parse(time.RFC3339, v.Get("since"))
	c.Until, _ = time.Parse(time.RFC3339, v.Get("until"))
	c.Limits, _ = ParseCanaryLimits(v.Get("stop_if"))
	return c
}

// canary is what this process does about the canary of a database. The manager's mutex guards it.
type canary struct {
	signinHold          // of those whom a change concerns
	is         string   // the record's place by which users are let in
	now        Canary   // of is
	others     []Canary // while held: what it is elsewhere already, or may become
}

// concerns says whether a user's sign-ins wait for a change of the canary.
func (c *canary) concerns(user string) bool { return c.held != nil && differ(user, c.now, c.others) }

// differ says whether a user is on another server with one of several canaries than with a first one. This process may
// be behind: then a user may be on the same server before and after a change, but on another one in between.
func differ(user string, first Canary, others []Canary) bool {
	return slices.ContainsFunc(others, func(other Canary) bool { return other.at(user) != first.at(user) })
}

// Canaries lists the canaries, by database.
func (m *ActiveManager) Canaries() (all []Canary) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, database := range slices.Sorted(maps.Keys(m.canaries)) {
		if c := m.canaries[database].now; c.Server != "" {
			all = append(all, c)
		}
	}
	return all
}

// ChangeCanary starts, changes or stops the canary of a database. decide gets it as it is and returns what becomes of
// it; the zero Canary stops it. The sign-ins of users who change their server are held, end ends their sessions, and
// they are let in where they then belong; it is called again by other processes for theirs. So no user is on two
// servers. Of o, Patience and Fence count.
func (m *ActiveManager) ChangeCanary(ctx context.Context, database string, decide func(Canary) (Canary, error),
	end EndUsers, o MoveOptions) error {
	fail := func(err error) error { return fmt.Errorf("canary of database %s: %w", database, err) }
	if m.Interchangeable(database) == nil {
		return fail(ErrUnknownName)
	}
	of, err := m.canaryMoves.Begin(ctx, database)
	if err != nil {
		return fail(err)
	}
	defer of.End()
	defer func() { m.settleCanary(ctx, database, of) }()
	now := canaryAt(database, of.Record().At)
	next, err := decide(now)
	if err == nil && next.Server != "" {
		err = m.mayServe(&next)
	}
	if err != nil || next.place() == now.place() {
		if err != nil {
			err = fail(err)
		}
		return err
	}
	m.mu.Lock()
	quiet, concerned := m.holdCanary(database, []Canary{next})
	m.mu.Unlock()
	o.End = func(string) { end(database, concerned) }
	if err = m.empty(ctx, database, next.place(), of, quiet, o); err == nil {
		err = of.Open(ctx, next.place())
	}
	if err != nil {
		return fail(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.canary(database).take(of.Record().At)
	return nil
}

// EndUsers ends the sessions of those users of a database for whom concerned is true, and returns when none is left.
type EndUsers func(database string, concerned func(user string) bool)

// mayServe completes a canary, or says why it cannot be.
func (m *ActiveManager) mayServe(c *Canary) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.databases[c.Database]
	slices.Sort(c.Users)
	c.Users = slices.Compact(c.Users)
	switch {
	case d == nil || !d.configured:
		return ErrUnknownName
	case !d.interchangeable:
		return ErrNotInterchangeable
	case !slices.Contains(d.copies, c.Server):
		return fmt.Errorf("mailbox server %s: %w", c.Server, ErrNoCopy)
	case d.active == c.Server:
		return fmt.Errorf("mailbox server %s: %w", c.Server, ErrCanaryActive)
	case !(c.Percent >= 0 && c.Percent <= 100) || math.Round(c.Percent*100) == 0 && len(c.Users) == 0:
		return ErrCanaryInvalid
	case len(c.Users) > MaxCanaryUsers:
		return ErrCanaryUsers
	}
	return nil
}

// canary returns a database's canary. The caller holds mu.
func (m *ActiveManager) canary(database string) *canary {
	c := m.canaries[database]
	if c == nil {
		c = &canary{now: Canary{Database: database}}
		m.canaries[database] = c
	}
	return c
}

// take makes the canary do what a record says.
func (c *canary) take(place string) { c.is, c.now = place, canaryAt(c.now.Database, place) }

// holdCanary holds the sign-ins of users whom a change of a canary concerns. It returns who they are, and a channel
// that is closed when none of them has a sign-in in progress. The caller holds mu.
func (m *ActiveManager) holdCanary(database string, others []Canary) (quiet chan struct{},
	concerned func(string) bool) {
	c := m.canary(database)
	if c.held != nil { // those who wait already have to look again whether they are concerned
		close(c.held)
	}
	c.held, c.others = make(chan struct{}), others
	m.endExchanges(func(x *saslExchange) bool { return x.database == database && c.concerns(x.user) })
	return m.canaryQuiet(c), c.whom()
}

// whom returns whom the present change concerns, also after it. The caller holds mu.
func (c *canary) whom() func(user string) bool {
	now, others := c.now, c.others
	return func(user string) bool { return differ(user, now, others) }
}

// canaryQuiet returns a channel that is closed when none whom a change concerns has a sign-in in progress. The caller
// holds mu.
func (m *ActiveManager) canaryQuiet(c *canary) chan struct{} {
	quiet := make(chan struct{})
	c.idle = quiet
	m.noteQuiet(c)
	return quiet
}

// noteQuiet closes the channel of canaryQuiet once it is time. The caller holds mu.
func (m *ActiveManager) noteQuiet(c *canary) {
	if c.idle == nil {
		return
	}
	for user, u := range m.users {
		if u.signIns > 0 && c.concerns(user) {
			return
		}
	}
	close(c.idle)
	c.idle = nil
}

// userIsQuiet notes that a user has no sign-in in progress any more. The caller holds mu.
func (m *ActiveManager) userIsQuiet(user string) {
	for _, c := range m.canaries {
		if c.idle != nil && c.concerns(user) {
			m.noteQuiet(c)
		}
	}
}

// settleCanary lets users in after a change. If another writer has changed that, they stay held until it is followed.
func (m *ActiveManager) settleCanary(ctx context.Context, database string, of *move.Move) {
	ours := of.Settle(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if ours {
		m.canary(database).resume()
	}
}

// arrange orders the servers of a database for a user: one who is on the canary is there first, and anybody else last.
// The caller holds mu.
func (m *ActiveManager) arrange(name string, d *database, user string, ordered []string) []string {
	c := m.canaries[name]
	if c == nil || c.now.Server == "" || !d.interchangeable {
		return ordered
	}
	server := c.now.Server
	at := slices.Index(ordered, server)
	switch {
	case at < 0: // it is blocked or Failed
		return ordered
	case c.now.Has(user):
		return slices.Concat([]string{server}, ordered[:at], ordered[at+1:])
	case server == d.active:
		return ordered
	}
	return slices.Concat(ordered[:at], ordered[at+1:], []string{server})
}

// openCanaries reads the store. Users whom a change in progress concerns are held.
func (m *ActiveManager) openCanaries(ctx context.Context, s store.Store, members *move.Members,
	failed func(error)) (err error) {
	m.canaryMoves, err = move.NewTable(ctx, s, canaryKey,
		move.Options{State: m.canaryRecord, Optional: true, Partial: true, Members: members, Failed: failed})
	if err != nil {
		return fmt.Errorf("read the canaries: %w", err)
	}
	for _, item := range m.canaryMoves.All() {
		c := m.canary(item.Name)
		if c.take(item.Value.At); item.Value.Phase == move.Closing {
			c.held, c.others = make(chan struct{}), []Canary{canaryAt(item.Name, item.Value.To)}
		}
	}
	return nil
}

// canaryRecord returns the record by which a database's users are sent to the canary, and whether some are held.
func (m *ActiveManager) canaryRecord(database string) (r move.Record, held, has bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.canaries[database]
	if c == nil {
		return move.OpenAt(""), false, true
	}
	return move.OpenAt(c.is), c.held != nil, true
}

// canaryMember does here what another writer has stored of a canary.
type canaryMember struct {
	m *ActiveManager
	o FollowOptions
}

var _ move.Member = canaryMember{}

// Hold implements move.Member.
func (f canaryMember) Hold(database string, because move.Record) {
	others := []Canary{canaryAt(database, because.At)}
	if because.Phase == move.Closing {
		others = append(others, canaryAt(database, because.To))
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.holdCanary(database, others)
}

// End implements move.Member.
func (f canaryMember) End(ctx context.Context, database string) error {
	f.m.mu.Lock()
	c := f.m.canary(database)
	quiet, concerned := f.m.canaryQuiet(c), c.whom()
	f.m.mu.Unlock()
	endAll(ctx, quiet, func() { f.o.EndUsers(database, concerned) }, func(err error) {
		f.o.Failed(fmt.Errorf("canary of database %s, changed by another writer of the store: %w", database, err))
	})
	return ctx.Err()
}

// Admit implements move.Member.
func (f canaryMember) Admit(database string, by move.Record) {
	f.m.mu.Lock()
	c := f.m.canary(database)
	c.take(by.At)
	c.resume()
	now := c.now
	f.m.mu.Unlock()
	f.o.CanaryChanged(now)
}
