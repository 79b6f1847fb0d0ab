package admin

import (
	"fmt"
	"strings"
	"testing"
)

// A group of nodes is Degraded while enough of them are well, and Unhealthy below that. A node that could not be asked
// is not well, and one that is out of service is not online.
func TestRollup(t *testing.T) {
	report := func(node, state, value string) NodeReport {
		return NodeReport{Node: node,
			Sets: []SetRow{{HealthSet: "IMAP.Proxy", State: state, AlertValue: value, MonitorCount: 1}}}
	}
	well := func(node string) NodeReport { return report(node, "Online", "Healthy") }
	for _, c := range []struct {
		name    string
		size    int
		reports []NodeReport
		want    string
	}{
		{"all well", 12, []NodeReport{well("a"), well("b")}, "[a b] Online Healthy 100 []"},
		{"one of four fails", 12, []NodeReport{well("a"), well("b"), well("c"), report("d", "Online", "Unhealthy")},
			"[a b c d] Online Degraded 75 [d]"},
		{"two of four fail", 12, []NodeReport{well("a"), well("b"), report("c", "Online", "Unavailable"),
			report("d", "Online", "Unhealthy")}, "[a b c d] Online Unhealthy 50 [c d]"},
		{"just enough", 12,
			append([]NodeReport{report("x", "Online", "Unhealthy"), report("y", "Online", "Unhealthy"),
				report("z", "Online", "Unhealthy")},
				well("a"), well("b"), well("c"), well("d"), well("e"), well("f"), well("g")),
			"[x y z a b c d e f g] Online Degraded 70 [x y z]"},
		{"one cannot be asked", 12, []NodeReport{well("a"), {Node: "b"}},
			"[a b] Online Unhealthy 50 [b]"},
		{"one is out of service", 12, []NodeReport{well("a"), report("b", "Offline", "Healthy")},
			"[a b] Partially Online Unhealthy 50 []"},
		{"one is degraded", 12, []NodeReport{well("a"), report("b", "Online", "Degraded")},
			"[a b] Online Degraded 100 []"},
		{"two groups", 2, []NodeReport{well("a"), well("b"), report("c", "Offline", "Unhealthy")},
			"[a b] Online Healthy 100 [], [c] Offline Unhealthy 0 [c]"},
	} {
		var got []string
		for _, row := range (Rollup{GroupSize: c.size, MinimumOnline: 70}).Merge(c.reports) {
			got = append(got, fmt.Sprint(row.Servers, " ", row.State, " ", row.AlertValue, " ", row.OnlinePercent, " ",
				row.Failing))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s, want %s", c.name, strings.Join(got, ", "), c.want)
		}
	}
}
