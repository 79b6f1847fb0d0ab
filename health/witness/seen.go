package witness

import (
	"slices"
	"unicode/utf8"

	"portico/health"
	"portico/health/catalogue"
)

// storedSeen is where the store keeps what nodes see, by the node's name.
const storedSeen = "health/seen/"

// Bounds of what a node says.
const (
	maxTargets = 10_000
	maxFaults  = 500
	maxError   = 200 // bytes
)

// seen is what a node sees. A target that it looks at and of which it names no fault works for it.
type seen struct {
	Targets []string `json:"targets,omitempty"` // that it looks at, sorted; those that have no place are left out
	Faults  []fault  `json:"faults,omitempty"`
	More    int      `json:"more,omitempty"` // faults that have no place in the list
	// Copies are the copies of databases, DATABASE@SERVER, whose mail it cannot read.
	Copies []string `json:"copies,omitempty"`
}

// fault is a monitor that does not see its target working.
type fault struct {
	Monitor    string `json:"monitor"`
	Value      string `json:"value"` // UnInitialized, Disabled or Repairing if it does not say how the target is
	Error      string `json:"error,omitempty"`
	Dependency string `json:"dependency,omitempty"`
	Phase      string `json:"phase,omitempty"`
	Mailbox    string `json:"_mbx,omitempty"`
}

// see makes what a node says of its monitors, and of the copies that it cannot read.
func see(all []health.MonitorState, copies []string) seen {
	s := seen{Copies: copies[:min(len(copies), maxFaults)]}
	for _, m := range all {
		if m.Elsewhere || m.Target == "" {
			continue
		}
		if !isCheck(m) {
			s.Targets = append(s.Targets, m.Target)
		}
		if !isFault(m) {
			continue
		}
		if len(s.Faults) == maxFaults {
			s.More++
			continue
		}
		f := fault{Monitor: m.ID(), Value: m.Value.String()}
		if last := m.LastFailure; last != nil && m.Failing() {
			f.Error, f.Dependency, f.Phase, f.Mailbox = cut(last.Err), string(last.Dependency), last.Phase, last.Mailbox
		}
		s.Faults = append(s.Faults, f)
	}
	slices.Sort(s.Targets)
	s.Targets = slices.Compact(s.Targets)
	s.Targets = s.Targets[:min(len(s.Targets), maxTargets)]
	return s
}

// isFault says whether a monitor does not see its target working.
func isFault(m health.MonitorState) bool {
	if m.Value == health.Degraded {
		return m.Failing()
	}
	return m.Value != health.Healthy
}

// cut bounds a text.
func cut(text string) string {
	if len(text) <= maxError {
		return text
	}
	text = text[:maxError]
	for len(text) > 0 && !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text
}

// isCheck says whether a monitor judges what a node itself counts, so that every node looks.
func isCheck(m health.MonitorState) bool { return catalogue.Of(m.Name).Check }
