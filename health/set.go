package health

import (
	"cmp"
	"slices"
	"time"
)

// SetState is a health set: it is as unhealthy as its worst monitor.
type SetState struct {
	Name           string
	Value          AlertValue
	LastTransition time.Time // the latest of its monitors'
	Monitors       []MonitorState
}

// rollUp makes health sets of monitors: the worst of each wins (docs/exchange.md).
func rollUp(all []MonitorState) []SetState {
	byName := make(map[string]*SetState)
	for _, m := range all {
		s := byName[m.HealthSet]
		if s == nil {
			s = &SetState{Name: m.HealthSet}
			byName[m.HealthSet] = s
		}
		s.Monitors = append(s.Monitors, m)
		s.Value = max(s.Value, m.Value)
		if m.LastTransition.After(s.LastTransition) {
			s.LastTransition = m.LastTransition
		}
	}
	sets := make([]SetState, 0, len(byName))
	for _, s := range byName {
		sets = append(sets, *s)
	}
	slices.SortFunc(sets, func(a, b SetState) int { return cmp.Compare(a.Name, b.Name) })
	return sets
}
