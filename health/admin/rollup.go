package admin

import (
	"cmp"
	"slices"
	"time"

	"portico/health"
	"portico/health/catalogue"
)

// Rollup says how nodes are merged: Get-HealthReport -RollupGroup.
type Rollup struct {
	GroupSize     int // nodes in a group; at least 1
	MinimumOnline int // the percentage of a group's nodes from which on it is Degraded, and not Unhealthy
}

// NodeReport is what a node says of its health sets. A node that has not answered has none.
type NodeReport struct {
	Node string
	Sets []SetRow
}

// RollupRow is a health set of a group of nodes.
type RollupRow struct {
	Servers        []string  `json:"servers"` // the nodes of the group
	State          string    `json:"state"`   // Online, Partially Online, Offline, or NotApplicable
	HealthSet      string    `json:"health_set"`
	HealthGroup    string    `json:"health_group"`
	AlertValue     string    `json:"alert_value"`
	LastTransition time.Time `json:"last_transition_time"`
	MonitorCount   int       `json:"monitor_count"`
	OnlinePercent  int       `json:"online_percent"`
	Failing        []string  `json:"failing"` // the nodes whose health set is not well
}

// Merge merges the reports of nodes, group by group in the order of the reports. A node that could not be asked has no
// health set that is well.
func (r Rollup) Merge(reports []NodeReport) []RollupRow {
	rows := []RollupRow{}
	for group := range slices.Chunk(reports, max(r.GroupSize, 1)) {
		var names []string
		for _, of := range group {
			for _, set := range of.Sets {
				if !slices.Contains(names, set.HealthSet) {
					names = append(names, set.HealthSet)
				}
			}
		}
		slices.Sort(names)
		for _, name := range names {
			rows = append(rows, r.merge(name, group))
		}
	}
	return rows
}

// merge merges one health set of a group.
func (r Rollup) merge(name string, group []NodeReport) RollupRow {
	row := RollupRow{HealthSet: name, HealthGroup: catalogue.SetOf(name).Group, AlertValue: health.Healthy.String(),
		Failing: []string{}}
	serving, down, well := 0, 0, 0
	bad := false
	for _, of := range group {
		row.Servers = append(row.Servers, of.Node)
		i := slices.IndexFunc(of.Sets, func(s SetRow) bool { return s.HealthSet == name })
		if i < 0 {
			bad = true
			row.Failing = append(row.Failing, of.Node)
			continue
		}
		set := of.Sets[i]
		row.MonitorCount += set.MonitorCount
		if set.LastTransition.After(row.LastTransition) {
			row.LastTransition = set.LastTransition
		}
		switch set.State {
		case online:
			serving++
		case offline:
			down++
		}
		switch failing := set.failing(); {
		case failing:
			bad = true
			row.Failing = append(row.Failing, of.Node)
		case set.State == offline:
			bad = true
		default:
			well++
			if set.AlertValue == health.Degraded.String() && row.AlertValue == health.Healthy.String() {
				row.AlertValue = set.AlertValue
			}
		}
	}
	row.OnlinePercent = 100 * well / len(group)
	row.State = mergedState(serving, down)
	if bad {
		row.AlertValue = health.Degraded.String()
		if row.OnlinePercent < r.MinimumOnline {
			row.AlertValue = health.Unhealthy.String()
		}
	}
	return row
}

// failing says whether a health set keeps users out.
func (s SetRow) failing() bool {
	return s.AlertValue == health.Unhealthy.String() || s.AlertValue == health.Unavailable.String()
}

// mergedState is the state of a component of several nodes.
func mergedState(serving, down int) string {
	switch {
	case serving+down == 0:
		return notApplicable
	case down == 0:
		return online
	case serving == 0:
		return offline
	}
	return partiallyOnline
}

// SortReports sorts reports by node, so that the groups are the same each time.
func SortReports(reports []NodeReport) {
	slices.SortFunc(reports, func(a, b NodeReport) int { return cmp.Compare(a.Node, b.Node) })
}
