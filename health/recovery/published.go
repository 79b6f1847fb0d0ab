package recovery

import (
	"maps"
	"slices"

	"portico/health"
)

// show publishes the state of all ladders.
func (r *Responders) show(forPeople map[string]bool, paused bool) {
	shown := []Ladder{}
	for _, id := range slices.Sorted(maps.Keys(r.ladders)) {
		shown = append(shown, *r.ladders[id])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown, r.forPeople, r.paused = shown, forPeople, paused
}

// Ladders lists the ladders that are in progress, or have something to take back, by monitor. They are copies.
func (r *Responders) Ladders() []Ladder {
	r.mu.Lock()
	shown := slices.Clone(r.shown)
	r.mu.Unlock()
	return slices.DeleteFunc(shown, func(l Ladder) bool {
		return l.Since.IsZero() && len(l.Lift) > 0 && !slices.ContainsFunc(l.Lift, func(a Action) bool {
			return a != Failover || r.blocked(l.Server)
		})
	})
}

// Records lists the recovery log, the oldest first.
func (r *Responders) Records() []Record { return r.log.Records() }

// ForPeople says whether an unhealthy monitor needs an alert: recovery has done all its steps, may not act, or cannot.
func (r *Responders) ForPeople(m health.MonitorState) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, climbs := r.current.Ladders[m.Name]; !climbs {
		return true
	}
	return r.paused || r.current.Mode == Off || m.Value != health.Unhealthy || r.forPeople[m.ID()]
}
