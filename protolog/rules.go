package protolog

import (
	"slices"
	"time"
)

// Rule asks for rows in the files.
type Rule struct {
	ID     string    `json:"id"`
	Filter Filter    `json:"filter"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: without end
}

// maxRules bounds the rules in force, and maxTails those who watch at once.
const (
	maxRules = 64
	maxTails = 32
)

// demand is everything that is asked for, at a moment. It does not change: another one takes its place.
type demand struct {
	rules []rule
	tails []*Tail
}

type rule struct {
	Rule
	filter filter
}

// empty says whether nothing is asked for.
func (d *demand) empty() bool { return len(d.rules)+len(d.tails) == 0 }

// without returns the demand without rules whose end has come, and whether there were any.
func (d *demand) without(now time.Time) (*demand, bool) {
	over := func(r rule) bool { return !r.Until.IsZero() && !now.Before(r.Until) }
	if !slices.ContainsFunc(d.rules, over) {
		return d, false
	}
	return &demand{rules: slices.DeleteFunc(slices.Clone(d.rules), over), tails: d.tails}, true
}

// Match is what is wanted of one session's events.
type Match struct {
	files []*filter
	tails []*filter
}

// Wants says whether anybody wants an event with this command and server time.
func (m *Match) Wants(command string, took time.Duration) bool {
	return anyWants(m.files, command, took) || anyWants(m.tails, command, took)
}

// Mark notes on an event what it is wanted for; it comes before Put.
func (m *Match) Mark(e *Event) { e.file = anyWants(m.files, e.Command, e.Duration) }

// without returns what is wanted beyond another match, nil if nothing.
func (m *Match) without(other *Match) *Match {
	if other == nil {
		return m
	}
	rest := &Match{tails: slices.DeleteFunc(slices.Clone(m.tails),
		func(f *filter) bool { return slices.Contains(other.tails, f) })}
	if len(other.files) == 0 { // else the event may be in the files
		rest.files = m.files
	}
	if len(rest.files)+len(rest.tails) == 0 {
		return nil
	}
	return rest
}

func anyWants(filters []*filter, command string, took time.Duration) bool {
	for _, f := range filters {
		if f.wants(command, took) {
			return true
		}
	}
	return false
}

// match returns what is wanted of a session, nil if nothing.
func (d *demand) match(s Subject) *Match {
	var m *Match
	for i := range d.rules {
		if f := &d.rules[i].filter; f.fits(s) {
			if m == nil {
				m = new(Match)
			}
			m.files = append(m.files, f)
		}
	}
	for _, t := range d.tails {
		if t.filter.fits(s) {
			if m == nil {
				m = new(Match)
			}
			m.tails = append(m.tails, &t.filter)
		}
	}
	return m
}

// open says whether more can be wanted of a session of which more will be known.
func (d *demand) open(s Subject) bool {
	return slices.ContainsFunc(d.rules, func(r rule) bool { return r.filter.open(s) }) ||
		slices.ContainsFunc(d.tails, func(t *Tail) bool { return t.filter.open(s) })
}
