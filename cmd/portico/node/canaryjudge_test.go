package node

import (
	"strings"
	"testing"

	"portico/backend"
	"portico/health/admin"
)

// A canary exceeds a limit if both sides have enough answers, and the difference is above the limit and above chance.
func TestExceededLimits(t *testing.T) {
	side := func(signIns, refused uint64, verbs ...admin.CanaryVerb) admin.CanaryArm {
		return admin.CanaryArm{SignIns: signIns, Refused: map[string]uint64{"unavailable": refused}, Verbs: verbs}
	}
	fetch := func(commands, errors uint64, ms float64) admin.CanaryVerb {
		return admin.CanaryVerb{Verb: "FETCH", Commands: commands, Errors: errors, P50: ms / 4000, P95: ms / 1000,
			P99: ms / 500}
	}
	for _, test := range []struct {
		limits         string
		canary, others admin.CanaryArm
		want           string
	}{
		{"errors=2x", side(0, 0, fetch(1000, 60, 1)), side(0, 0, fetch(9000, 180, 1)),
			"FETCH failed: 6.00 % of 1000, on the other servers 2.00 % of 9000"},
		{"errors=2x", side(0, 0, fetch(1000, 58, 1)), side(0, 0, fetch(9000, 180, 1)), ""}, // 40 and chance
		{"errors=4x", side(0, 0, fetch(1000, 60, 1)), side(0, 0, fetch(9000, 180, 1)), ""},
		{"p95=2x", side(0, 0, fetch(1000, 60, 1)), side(0, 0, fetch(9000, 180, 1)), ""},
		{"errors=2x", side(0, 0, fetch(500, 10, 1)), side(0, 0, fetch(500, 0, 1)),
			"FETCH failed: 2.00 % of 500, on the other servers 0.00 % of 500"},
		{"errors=2x", side(0, 0, fetch(500, 9, 1)), side(0, 0, fetch(500, 0, 1)), ""},
		{"errors=2x", side(0, 0, fetch(499, 499, 1)), side(0, 0, fetch(500, 0, 1)), ""},
		{"errors=2x", side(0, 0, fetch(500, 500, 1)), side(0, 0, fetch(499, 0, 1)), ""},
		{"errors=2x", side(0, 0, fetch(500, 500, 1)), side(0, 0), ""},
		{"p95=2x", side(0, 0, fetch(500, 0, 46)), side(0, 0, fetch(500, 0, 20)),
			"FETCH p95: 46.0 ms of 500, on the other servers 20.0 ms of 500"},
		{"p95=2x", side(0, 0, fetch(500, 0, 45)), side(0, 0, fetch(500, 0, 20)), ""}, // 5 ms more are not noticed
		{"p95=2x", side(0, 0, fetch(499, 0, 460)), side(0, 0, fetch(500, 0, 20)), ""},
		{"p95=2x", side(0, 0, fetch(500, 0, 460)), side(0, 0, fetch(499, 0, 20)), ""},
		{"p50=1x,p99=1x", side(0, 0, fetch(500, 0, 40)), side(0, 0, fetch(500, 0, 10)),
			"FETCH p50: 10.0 ms of 500, on the other servers 2.5 ms of 500; " +
				"FETCH p99: 80.0 ms of 500, on the other servers 20.0 ms of 500"},
		{"refusals=2x", side(450, 50), side(990, 10),
			"sign-ins refused: 10.00 % of 500, on the other servers 1.00 % of 1000"},
		{"errors=2x", side(450, 50), side(990, 10), ""},
		{"refusals=2x", side(449, 50), side(990, 10), ""},
	} {
		limits, err := backend.ParseCanaryLimits(test.limits)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(exceeded(limits, test.canary, test.others), "; "); got != test.want {
			t.Errorf("%s: %+v beside %+v: %q, want %q", test.limits, test.canary, test.others, got, test.want)
		}
	}
}
