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

// maxRules bounds the rules in force, and maxTails the tails.
const (
	maxRules = 64
	maxTails = 32
)

// demand is all rules and tails in force. It does not change: another one replaces it.
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

// without returns the demand without rules that have expired, and whether there were any.
func (d *demand) without(now time.Time) (*demand, bool) {
	over := func(r rule) bool { return !r.Until.IsZero() && !now.Before(r.Until) }
	if !slices.ContainsFunc(d.rules, over) {
		return d, false
	}
	return &demand{rules: slices.DeleteFunc(slices.Clone(d.rules), over), tails: d.tails}, true
}

// Match is the filters of the rules and tails that want events of one session.
type Match struct {
	files []*filter
	tails []*filter
}

// Wants says whether anybody wants an event with this command and server time.
func (m *Match) Wants(command string, took time.Duration) bool {
	return anyWants(m.files, command, took) || anyWants(m.tails, command, took)
}

// Mark records in an event whether rules want it. Call it before Put.
func (m *Match) Mark(e *Event) { e.file = anyWants(m.files, e.Command, e.Duration) }

// without returns the filters that are not in another match, or nil if there are none.
func (m *Match) without(other *Match) *Match {
	if other == nil {
		return m
	}
	rest := &Match{tails: slices.DeleteFunc(slices.Clone(m.tails),
		func(f *filter) bool { return slices.Contains(other.tails, f) })}
	if len(other.files) == 0 { // otherwise the event may be in the files already
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

// match returns the filters that fit a session, or nil if none fits.
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

// mayMatchLater says whether more filters may fit a session once more of it is known.
func (d *demand) mayMatchLater(s Subject) bool {
	return slices.ContainsFunc(d.rules, func(r rule) bool { return r.filter.mayFitLater(s) }) ||
		slices.ContainsFunc(d.tails, func(t *Tail) bool { return t.filter.mayFitLater(s) })
}
