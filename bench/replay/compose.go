package replay

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// follow is the longest pause within an operation: the program reacts to an answer, and the network adds its delay.
// Operations have at most maxOperation steps.
const (
	follow       = 250 // milliseconds
	maxOperation = 100
)

// timed is a step with its beginning and end, in Unix milliseconds.
type timed struct {
	Step
	begin, end int64
}

// Recording returns the recording of everything that was added. The Collector cannot be used after that.
func (c *Collector) Recording() (*Recording, error) {
	r := &Recording{}
	var all []composed
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		if s, ok := c.compose(c.sessions[id]); ok {
			all = append(all, s)
		}
	}
	r.Source = c.source
	r.Source.LeftOut = c.sample.leftOut(len(all))
	if len(all) == 0 {
		return nil, fmt.Errorf("no session that signed in is in the log: %d rows, %d damaged lines",
			c.source.Rows, c.source.Damaged)
	}
	slices.SortStableFunc(all, func(a, b composed) int { return cmp.Compare(a.begin(), b.begin()) })
	from, until := all[0].begin(), all[0].end()
	for _, s := range all {
		from, until = min(from, s.begin()), max(until, s.end())
	}
	r.From = time.UnixMilli(from).UTC()
	r.Seconds = float64(max(until-from, 1)) / 1000
	if r.Span() > MaxSpan {
		return nil, fmt.Errorf("the log spans %v: must be at most %v; portico log show --from and --to prints a part",
			r.Span().Round(time.Second), MaxSpan)
	}
	r.take(all, from)
	r.describe()
	if r.Commands > MaxSteps {
		return nil, errors.New("the log has too many commands: keep fewer sessions")
	}
	return r, nil
}

// composed is a session whose steps are in order.
type composed struct {
	user  int
	open  bool
	steps []timed // at least one
}

func (s *composed) begin() int64 { return s.steps[0].begin }
func (s *composed) end() int64   { return s.steps[len(s.steps)-1].end }
func (s *composed) ended() bool  { return s.steps[len(s.steps)-1].Verb.Ends() }

// compose sorts a session's events. It returns false for a session that never signed in.
func (c *Collector) compose(g *gathered) (composed, bool) {
	slices.SortStableFunc(g.events, func(a, b event) int { return cmp.Compare(a.number, b.number) })
	whole := len(g.events)
	g.events = slices.CompactFunc(g.events, func(a, b event) bool { return a.number == b.number })
	c.source.Repeated += whole - len(g.events)
	first := slices.IndexFunc(g.events, func(e event) bool { return e.signed })
	if first < 0 || g.user < 0 {
		c.source.NoSignIn++
		return composed{}, false
	}
	s := composed{user: g.user, open: true}
	if i := slices.IndexFunc(g.events, func(e event) bool { return e.step.Verb == SignIn }); i >= 0 {
		s.open, first = false, i // what came before belongs to the sign-in
	}
	last := int64(0)
	for _, e := range g.events[first:] {
		begin := max(e.end-int64(e.took), last) // pipelined commands are played one after the other
		switch {
		case e.step.Verb == Drop && len(s.steps) > 0 && s.ended():
			continue // LOGOUT was said
		case e.step.Verb == Idle && last == 0:
			begin = e.end // it began before the log
		case e.step.Verb == Idle:
			s.steps = append(s.steps, timed{e.step, last, last})
			e.step.Verb = Done
		}
		last = max(e.end, begin)
		s.steps = append(s.steps, timed{e.step, begin, last})
	}
	return s, len(s.steps) > 0
}

// take adds the composed sessions, and numbers their users by the time of their first session.
func (r *Recording) take(all []composed, from int64) {
	users := make(map[int]int)
	for _, s := range all {
		user, known := users[s.user]
		if !known {
			user = len(users)
			users[s.user] = user
		}
		session := Session{At: millis(s.begin() - from), User: user, Open: s.open}
		if s.open {
			session.At = 0
		}
		last := int64(0)
		for _, step := range s.steps {
			n := len(session.Operations)
			if n == 0 || step.begin-last > follow || len(session.Operations[n-1].Steps) == maxOperation {
				session.Operations = append(session.Operations, Operation{At: millis(step.begin - from)})
				n++
			}
			op := &session.Operations[n-1]
			op.Steps = append(op.Steps, step.Step)
			last = step.end
		}
		r.Sessions = append(r.Sessions, session)
	}
	r.Users = len(users)
	r.measure(all, from)
}

// measure fills in the header's figures about the sessions.
func (r *Recording) measure(all []composed, from int64) {
	var lengths []int64
	var present float64 // seconds of all sessions
	until := from + r.Span().Milliseconds()
	for i := range all {
		s := &all[i]
		begin, end := s.begin(), s.end()
		if s.open {
			begin = from
			r.Open++
		}
		if !s.ended() {
			end = until
		} else if !s.open {
			lengths = append(lengths, end-begin)
		}
		present += float64(end-begin) / 1000
	}
	r.Steps(func(step Step) {
		r.Commands++
		if step.Verb == SignIn {
			r.SignIns++
		}
	})
	if slices.Sort(lengths); len(lengths) > 0 {
		r.Median = float64(lengths[len(lengths)/2]) / 1000
	}
	r.Header.Version, r.Header.Sessions = Version, len(r.Sessions)
	r.PerSecond, r.AtOnce = float64(r.SignIns)/r.Seconds, present/r.Seconds
	r.Profile.PerSession = float64(r.Commands) / max(present, 0.001)
}
