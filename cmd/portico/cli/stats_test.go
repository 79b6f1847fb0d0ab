package cli

import (
	"testing"

	"portico/health/admin"
)

// Figures of several nodes are shown as those of one, without the histograms.
func TestSiteFigures(t *testing.T) {
	node := func(name string, commands uint64) fromNode[admin.StatsFigures] {
		return fromNode[admin.StatsFigures]{name, admin.StatsFigures{Seconds: 60, Rows: []admin.StatsRow{{
			Name: "mbx1", Sessions: 2, Commands: commands, Mean: 0.1,
			Buckets: []admin.StatsBucket{{Index: -13, Count: commands}}}}}}
	}
	all := &fromNodes[admin.StatsFigures]{answers: []fromNode[admin.StatsFigures]{node("mx1", 30), node("mx2", 10)}}
	got := siteFigures(all)
	if len(got.Rows) != 1 || got.Rows[0].Sessions != 4 || got.Rows[0].Commands != 40 || got.Rows[0].P50 == 0 ||
		got.Rows[0].Buckets != nil || got.Seconds != 60 {
		t.Errorf("%+v", got)
	}
	all.answers = all.answers[:1]
	if got := siteFigures(all); got.Rows[0].Commands != 30 || got.Rows[0].Buckets != nil {
		t.Errorf("of one: %+v", got)
	}
}
