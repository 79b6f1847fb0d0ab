package admin

import (
	"cmp"
	"slices"
	"strconv"

	"portico/health"
	"portico/health/catalogue"
)

// ItemRow is a probe, a monitor or a responder: a row of Get-MonitoringItemIdentity, with its definition and its help.
type ItemRow struct {
	Identity       string     `json:"identity"`
	ItemType       string     `json:"item_type"`
	Name           string     `json:"name"`
	TargetResource string     `json:"target_resource"`
	HealthSetName  string     `json:"health_set_name"`
	Definition     []Property `json:"definition"`
	Help           string     `json:"help"`
}

// Property is a part of an item's definition.
type Property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ItemResponder is the type of what acts when a monitor is unhealthy. The other types are health.ItemProbe and
// health.ItemMonitor.
const ItemResponder = "Responder"

// itemRows lists all probes, monitors and responders.
func itemRows(all Items) []ItemRow {
	rows := []ItemRow{}
	for _, p := range all.Probes {
		rows = append(rows, ItemRow{
			Identity: p.ID(), ItemType: health.ItemProbe, Name: p.Name, TargetResource: p.Target,
			HealthSetName: p.HealthSet, Help: catalogue.Help(p.Name),
			Definition: []Property{{"RecurrenceIntervalSeconds", seconds(p.Interval.Seconds())},
				{"TimeoutSeconds", seconds(p.Timeout.Seconds())}},
		})
	}
	for _, m := range all.Monitors {
		rows = append(rows, ItemRow{
			Identity: m.ID(), ItemType: health.ItemMonitor, Name: m.Name, TargetResource: m.Target,
			HealthSetName: m.HealthSet, Help: catalogue.Help(m.Name),
			Definition: []Property{
				{"SampleMask", m.Probe}, {"MonitoringThreshold", strconv.Itoa(m.Failures)},
				{"UnhealthySeconds", seconds(m.UnhealthyAfter.Seconds())},
				{"ServerComponent", cmp.Or(m.Component, "None")},
			},
		})
		for i, action := range all.Steps[m.Name] {
			rows = append(rows, ItemRow{
				Identity: m.HealthSet + "/" + action.Responder(m.Name) + target(m.Target), ItemType: ItemResponder,
				Name:           action.Responder(m.Name),
				TargetResource: m.Target, HealthSetName: m.HealthSet, Help: action.Help(),
				Definition: []Property{{"AlertMask", m.Name}, {"Step", strconv.Itoa(i + 1)}},
			})
		}
	}
	slices.SortStableFunc(rows, func(a, b ItemRow) int { return cmp.Compare(a.HealthSetName, b.HealthSetName) })
	return rows
}

// target is a target as the end of an identity.
func target(name string) string {
	if name == "" {
		return ""
	}
	return "/" + name
}

func seconds(s float64) string { return strconv.FormatFloat(s, 'g', -1, 64) }
