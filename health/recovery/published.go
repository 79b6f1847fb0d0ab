package recovery

import (
	"maps"
	"slices"

	"portico/health"
)

// show notes what others may know.
func (r *Responders) show(told map[string]bool, paused bool) {
	shown := []Ladder{}
	for _, id := range slices.Sorted(maps.Keys(r.ladders)) {
		shown = append(shown, *r.ladders[id])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown, r.told, r.paused = shown, told, paused
}

// Ladders lists those that are being climbed, or keep what is to be taken back, by monitor. They are copies.
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

// ForPeople says whether people are to be told that a monitor is not healthy: recovery has done what it could, may do
// nothing, or can not.
func (r *Responders) ForPeople(m health.MonitorState) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, climbs := r.current.Ladders[m.Name]; !climbs {
		return true
	}
	return r.paused || r.current.Mode == Off || m.Value != health.Unhealthy || r.told[m.ID()]
}
