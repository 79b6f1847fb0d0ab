package health

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portico/configs/suggest"
)

// Override changes a property of probes or monitors for a time, or for as long as a version of the program runs
// (docs/exchange.md).
type Override struct {
	Identity string    `json:"identity"` // health set, name and, for one target alone, that; with slashes between
	ItemType string    `json:"item_type,omitempty"`
	Property string    `json:"property_name"`
	Value    string    `json:"property_value,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	Until    time.Time `json:"until,omitzero"`          // zero: until it is removed
	Version  string    `json:"apply_version,omitempty"` // it ends with this version of the program
	Global   bool      `json:"global,omitempty"`        // it is for all nodes; one for this node alone beats it
}

// The item types.
const (
	ItemProbe   = "Probe"
	ItemMonitor = "Monitor"
)

// Key tells overrides apart: there is one for each property of an item.
func (o Override) Key() string {
	key := o.ItemType + "/" + o.Identity + "/" + o.Property
	if o.Global {
		return "Global/" + key
	}
	return key
}

// Over says whether an override has ended by itself.
func (o Override) Over(now time.Time, version string) bool {
	return !o.Until.IsZero() && !now.Before(o.Until) || o.Version != "" && o.Version != version
}

// probeProperties and monitorProperties are what can be overridden, and how. n is what number returns: 0 only for a
// switch.
var probeProperties = map[string]func(p *Probe, n int){
	"Enabled":                   func(p *Probe, n int) { p.off = n == 0 },
	"RecurrenceIntervalSeconds": func(p *Probe, n int) { p.Interval = time.Duration(n) * time.Second },
	"TimeoutSeconds":            func(p *Probe, n int) { p.Timeout = time.Duration(n) * time.Second },
}

var monitorProperties = map[string]func(m *Monitor, n int){
	"Enabled":             func(m *Monitor, n int) { m.Off = n == 0 },
	"MonitoringThreshold": func(m *Monitor, n int) { m.Failures = n },
	"UnhealthySeconds":    func(m *Monitor, n int) { m.UnhealthyAfter = time.Duration(n) * time.Second },
}

// maxOverridden bounds a property's value: a day in seconds.
const maxOverridden = 24 * 60 * 60

// switches are the properties that are 0 or 1.
var switches = map[string]bool{"Enabled": true, "Write": true}

// number reads a property's value.
func (o Override) number() (int, error) {
	text := o.Value
	switch strings.ToLower(strings.TrimPrefix(text, "$")) {
	case "true":
		text = "1"
	case "false":
		text = "0"
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0 || n > maxOverridden:
		return 0, fmt.Errorf("property %s: %q is not a number from 0 to %d", o.Property, o.Value, maxOverridden)
	case switches[o.Property] && n > 1:
		return 0, fmt.Errorf("property %s must be 0 or 1, not %s", o.Property, o.Value)
	case !switches[o.Property] && n == 0:
		return 0, fmt.Errorf("property %s cannot be 0", o.Property)
	}
	return n, nil
}

// Check says why an override cannot be: there is nothing of that identity, which is case-sensitive, no such property,
// or no such value.
func (p Plan) Check(o Override) error {
	if err := p.CheckProperty(o); err != nil {
		return err
	}
	_, err := o.number()
	return err
}

// CheckProperty returns an error if there is no such item, or no such property of it.
func (p Plan) CheckProperty(o Override) error {
	identities, properties := p.identities(o.ItemType), keys(probeProperties)
	switch o.ItemType {
	case ItemProbe:
	case ItemMonitor:
		properties = keys(monitorProperties)
	default:
		return fmt.Errorf("an item must be a %s or a %s, not a %q", ItemProbe, ItemMonitor, o.ItemType)
	}
	if !slices.Contains(identities, o.Identity) {
		return unknown(suggest.NoSuch(strings.ToLower(o.ItemType), o.Identity, identities))
	}
	if !slices.Contains(properties, o.Property) {
		return fmt.Errorf("a %s has no property %s; it has %s", strings.ToLower(o.ItemType), o.Property,
			strings.Join(properties, ", "))
	}
	return nil
}

// identities lists what an override of an item type may name.
func (p Plan) identities(itemType string) (all []string) {
	switch itemType {
	case ItemProbe:
		for _, probe := range p.Probes {
			all = append(all, probe.ID(), probe.HealthSet+"/"+probe.Name)
		}
	case ItemMonitor:
		for _, m := range p.Monitors {
			all = append(all, m.ID(), m.HealthSet+"/"+m.Name)
		}
	}
	return all
}

// ItemTypeOf returns the type of item that an identity names, by its name: what ends in Monitor is a monitor.
func ItemTypeOf(identity string) string {
	if parts := strings.Split(identity, "/"); len(parts) > 1 &&
		strings.HasSuffix(strings.ToLower(parts[1]), "monitor") {
		return ItemMonitor
	}
	return ItemProbe
}

// runProperties are what can be changed for one run by hand.
var runProperties = map[string]func(run *ByHand, n int){
	"TimeoutSeconds": func(run *ByHand, n int) { run.Timeout = time.Duration(n) * time.Second },
	"Write":          func(run *ByHand, n int) { run.ReadOnly = n == 0 },
}

// Override changes properties of the probe for the run alone.
func (by *ByHand) Override(properties map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		set, known := runProperties[name]
		if !known {
			return fmt.Errorf("property %s cannot be changed for one run; these can: %s", name,
				strings.Join(keys(runProperties), ", "))
		}
		n, err := Override{Property: name, Value: properties[name]}.number()
		if err != nil {
			return err
		}
		set(by, n)
	}
	return nil
}

func keys[V any](of map[string]V) []string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// With returns the plan with overrides in it. One for this node beats one for all nodes, one for a target one for all;
// of two of the same kind the later. What does not fit any more is passed over. The plan itself stays as it is.
func (p Plan) With(overrides []Override, now time.Time, version string) Plan {
	sorted := slices.SortedFunc(slices.Values(overrides), func(a, b Override) int {
		return cmp.Or(compareBool(b.Global, a.Global),
			cmp.Compare(strings.Count(a.Identity, "/"), strings.Count(b.Identity, "/")), a.Created.Compare(b.Created))
	})
	changed := Plan{Monitors: slices.Clone(p.Monitors)}
	for _, probe := range p.Probes {
		of := *probe
		for _, o := range sorted {
			set, known := probeProperties[o.Property]
			if n, err := o.number(); err == nil && known && o.ItemType == ItemProbe && !o.Over(now, version) &&
				o.names(of.HealthSet, of.Name, of.Target) {
				set(&of, n)
			}
		}
		if !of.off {
			changed.Probes = append(changed.Probes, &of)
		}
	}
	for i := range changed.Monitors {
		m := &changed.Monitors[i]
		for _, o := range sorted {
			set, known := monitorProperties[o.Property]
			if n, err := o.number(); err == nil && known && o.ItemType == ItemMonitor && !o.Over(now, version) &&
				o.names(m.HealthSet, m.Name, m.Target) {
				set(m, n)
			}
		}
		judged := slices.IndexFunc(changed.Probes, func(probe *Probe) bool {
			return probe.HealthSet == m.HealthSet && probe.Name == m.Probe && probe.Target == m.Target
		})
		switch {
		case judged < 0:
			m.Off = true // nothing looks
		case m.StaleAfter > 0:
			m.StaleAfter = StaleAfter(changed.Probes[judged].Interval, changed.Probes[judged].Timeout)
			fallthrough
		default:
			m.Interval = changed.Probes[judged].Interval
		}
	}
	return changed
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// names says whether the override is for an item.
func (o Override) names(set, name, target string) bool {
	return o.Identity == set+"/"+name || o.Identity == set+"/"+nameOf(name, target)
}
