package node

import (
	"maps"
	"slices"
	"testing"

	"portico/configs"
	"portico/health/catalogue"
	"portico/health/components"
)

// TestCatalogueIsWired: each probe of the catalogue has a run function, its timing and its monitor's ladder are in the
// configuration, and nothing of these is for a probe that the catalogue does not have.
func TestCatalogueIsWired(t *testing.T) {
	config := configs.Default()
	var probes, timings, ladders []string
	for _, e := range catalogue.All() {
		probes = append(probes, e.Probe)
		timings, ladders = append(timings, e.TimingKey), append(ladders, e.Ladder)
		if e.Component != "" {
			if _, err := (components.Request{Component: e.Component, Requester: requesterHealth,
				State: components.Active}).Known(); err != nil {
				t.Errorf("%s: %v", e.Monitor, err)
			}
		}
	}
	sameNames(t, "run functions", maps.Keys(new(monitoring).runs(config)), probes)
	sameNames(t, "timings", maps.Keys(config.Health.Timings()), timings)
	sameNames(t, "ladders", maps.Keys(config.Health.Recovery.Ladders.ByKey()), ladders)
	for monitor, steps := range recoveryPlan(config.Health.Recovery).Ladders {
		want := config.Health.Recovery.Ladders.ByKey()[catalogue.Of(monitor).Ladder]
		if len(steps) == 0 || len(steps) != len(want) {
			t.Errorf("the ladder of %s is %v, want %v", monitor, steps, want)
		}
	}
}

// sameNames holds the names of what there is against those of the catalogue, "" for none.
func sameNames(t *testing.T, what string, there func(func(string) bool), inCatalogue []string) {
	t.Helper()
	slices.Sort(inCatalogue)
	want := slices.DeleteFunc(slices.Compact(inCatalogue), func(name string) bool { return name == "" })
	if got := slices.Sorted(there); !slices.Equal(got, want) {
		t.Errorf("there are %s for %q, and the catalogue has %q", what, got, want)
	}
}

// A ladder without steps is a ladder: recovery goes by its monitor and does nothing. Each monitor that has a ladder
// keeps it.
func TestEmptyLadder(t *testing.T) {
	config := configs.Default()
	config.Health.Recovery.Ladders.SelfTest = nil
	ladders := recoveryPlan(config.Health.Recovery).Ladders
	if steps, ok := ladders[catalogue.ImapSelfTestMonitor]; !ok || len(steps) != 0 {
		t.Errorf("%v, %t", steps, ok)
	}
	for _, e := range catalogue.All() {
		if _, ok := ladders[e.Monitor]; ok != (e.Ladder != "") {
			t.Errorf("%s: in the plan %t, ladder %q", e.Monitor, ok, e.Ladder)
		}
	}
}
