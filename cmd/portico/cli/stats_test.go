package cli

import (
	"strings"
	"testing"

	"portico/health/admin"
	"portico/health/admin/table"
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

// The nodes get the whole question, their figures are shown as rates of the span, and a node that is missing is named.
func TestStatsOnSite(t *testing.T) {
	figures := func(rows string) string {
		return `{"from":"2026-01-02T10:00:00Z","to":"2026-01-02T10:01:00Z","seconds":60,"rows":[` + rows + `]}`
	}
	const missing = "mx3!unreachable:dead"
	verb := func(name, commands string) string {
		return `{"name":"` + name + `","commands":` + commands + `,"mean":1,"buckets":[{"index":0,"count":` +
			commands + `}]}`
	}
	site := &fakeSite{answers: map[string]string{"site/stats": nodes(t,
		"mx1:"+figures(verb("APPEND", "40")+","+verb("FETCH", "30")), "mx2:"+figures(verb("FETCH", "30")), missing)}}
	status, out, errs := site.ask(t, "stats", "--by", "verb", "--server", "mbx1", "--since", "5m", "--no-headers")
	var rows []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		rows = append(rows, fields[0]+" "+fields[1]+" "+fields[len(fields)-1])
	}
	if got := strings.Join(rows, ", "); status != StatusBad || errs != "portico: node mx3: dead\n" ||
		got != "FETCH 1.00/s 60, APPEND 0.67/s 40" {
		t.Errorf("%d %s%s\n%s", status, out, errs, got)
	}
	if got := site.asked[0]; got != "site/stats?buckets=true&by=verb&server=mbx1&since=300" {
		t.Errorf("asked %s", got)
	}
	server := `{"name":"mbx1","sessions":7,"queued":2,"sign_ins":60,"client_bytes":60000,"server_bytes":6000000,` +
		`"refused":{"bad_credential":3,"limit":4},"commands":0}`
	site.answers["site/stats/series"] = nodes(t, `mx1:{"points":[`+figures(server)+`]}`, missing)
	status, out, errs = site.ask(t, "stats", "--verb", "NOOP", "--step", "30s", "--since", "4m")
	if status != StatusBad || errs != "portico: node mx3: dead\n" {
		t.Errorf("%d %s%s", status, out, errs)
	}
	if got := site.asked[0]; got != "site/stats/series?buckets=true&by=server&since=240&step=30&verb=NOOP" {
		t.Errorf("asked %s", got)
	}
	site.answers["site/stats"] = nodes(t, "mx1:"+figures(server))
	_, out, _ = site.ask(t, "stats", "-o", "wide", "--no-headers")
	want := "mbx1 7 0/s - - - 2 1.00/s 7 " + table.Traffic(1000) + " " + table.Traffic(100_000) +
		" 4 limit, 3 bad_credential"
	if got := strings.Join(strings.Fields(out), " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
