package admin

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/proxy/history"
	"portico/proxy/relay"
)

// fixedStats is a node that has two windows, and notes what it was asked.
type fixedStats struct {
	windows []history.Window
	asked   history.Query
}

func (c *fixedStats) Windows(q history.Query) (iter.Seq[history.Window], error) {
	c.asked = q
	if q.Server == "none" {
		return nil, NoSuch("mailbox server", q.Server, []string{"mbx1"})
	}
	return slices.Values(c.windows), nil
}

// aWindow has a row of each name, with n commands of a millisecond.
func aWindow(from, to time.Duration, n int, names ...string) history.Window {
	w := history.Window{From: from, To: to, Rows: make(map[string]*history.Row)}
	for _, name := range names {
		r := &history.Row{SignIns: map[string]uint64{"signed_in": 2, "bad_credential": 1}}
		r.Sessions, r.ServerBytes = 3, 1000
		for range n {
			r.Times.Observe(1e6)
		}
		w.Rows[name] = r
	}
	return w
}

// askStats sends a request for figures, and returns the status and the answer.
func askStats(s Stats, path string) (int, string) {
	mux := http.NewServeMux()
	API{Stats: s}.routes(mux)
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, httptest.NewRequest("GET", PathStats+path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestStats(t *testing.T) {
	c := &fixedStats{windows: []history.Window{aWindow(62*time.Second, 2*time.Second, 10, "mbx2", "mbx1")}}
	status, text := askStats(c, "?since=300&by=server&server=mbx1&verb=noop&buckets=true")
	if status != http.StatusOK || c.asked != (history.Query{Server: "mbx1", Verb: "noop", Since: 5 * time.Minute}) {
		t.Fatalf("%d %s, asked %+v", status, text, c.asked)
	}
	var figures StatsFigures
	if err := json.Unmarshal([]byte(text), &figures); err != nil {
		t.Fatal(err)
	}
	if ago := time.Since(figures.To); figures.Seconds != 60 || figures.To.Sub(figures.From) != time.Minute ||
		ago < 2*time.Second || ago > time.Minute || figures.From.Location() != time.UTC {
		t.Errorf("%+v", figures)
	}
	names := []string{figures.Rows[0].Name, figures.Rows[1].Name}
	row := figures.Rows[0]
	if !slices.Equal(names, []string{"mbx1", "mbx2"}) || row.Commands != 10 || row.Sessions != 3 || row.SignIns != 2 ||
		!reflect.DeepEqual(row.Refused, map[string]uint64{"bad_credential": 1}) || row.ServerBytes != 1000 ||
		row.Mean != 0.001 || row.P99 > 0.0012 || row.P50 < 0.0008 || len(row.Buckets) != 1 {
		t.Errorf("%v, %+v", names, row)
	}
	if _, text := askStats(c, ""); strings.Contains(text, "buckets") {
		t.Errorf("buckets that nobody asked for: %s", text)
	}
	if status, text := askStats(&fixedStats{}, ""); status != http.StatusOK || !strings.Contains(text, `"rows":[]`) {
		t.Errorf("nothing was counted: %d %s", status, text)
	}
}

// Each percentile is that of its name.
func TestPercentiles(t *testing.T) {
	var r history.Row
	for took, n := range map[time.Duration]int{time.Millisecond: 90, 100 * time.Millisecond: 7, time.Second: 3} {
		for range n {
			r.Times.Observe(int64(took))
		}
	}
	row := statsRow("mbx1", &r)
	for _, c := range []struct{ got, want float64 }{{row.P50, 0.001}, {row.P95, 0.1}, {row.P99, 1},
		{row.Mean, 0.0379}} {
		if c.got < c.want/1.2 || c.got > c.want*1.2 {
			t.Errorf("%v s, want %v: %+v", c.got, c.want, row)
		}
	}
}

func TestStatsSeries(t *testing.T) {
	c := &fixedStats{windows: []history.Window{aWindow(20*time.Second, 10*time.Second, 1, "FETCH"),
		aWindow(10*time.Second, 0, 2, "FETCH")}}
	status, text := askStats(c, "/series?since=900&step=15&by=verb&limit=7")
	var series StatsSeries
	if err := json.Unmarshal([]byte(text), &series); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s: %v", status, text, err)
	}
	want := history.Query{By: history.ByVerb, Since: 15 * time.Minute, Step: 15 * time.Second, Rows: 7}
	if c.asked != want || len(series.Points) != 2 || series.Points[1].Rows[0].Commands != 2 ||
		!series.Points[0].To.Equal(series.Points[1].From) {
		t.Errorf("asked %+v, got %s", c.asked, text)
	}
}

func TestStatsRefuses(t *testing.T) {
	for path, want := range map[string]string{
		"?by=user":                  "query.by",
		"?since=4":                  "query.since",
		"?since=3601":               "query.since",
		"?by=database&verb=NOOP":    "server and verb are for",
		"?by=listener&server=x":     "server and verb are for",
		"?server=none":              "there is no mailbox server",
		"?step=5":                   "query.step",
		"/series?since=3600":        "", // 360 steps of 10
		"/series?since=3600&step=8": "more than 400 steps",
		"/series?limit=1000":        "query.limit",
	} {
		status, text := askStats(&fixedStats{}, path)
		if (want == "") != (status == http.StatusOK) || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

// Figures of several nodes merge to those of one that has counted everything.
func TestMergeStats(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all relay.Histogram
	var nodes []StatsFigures
	base := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 3 {
		w := aWindow(0, 0, 0, "mbx1")
		for range 500 * (i + 1) {
			ns := int64(1e6 * random.ExpFloat64() * float64(i+1))
			w.Rows["mbx1"].Times.Observe(ns)
			all.Observe(ns)
		}
		figures := StatsFigures{From: base.Add(-time.Minute), To: base.Add(time.Duration(i) * time.Second),
			Seconds: 60 + float64(i), Rows: []StatsRow{statsRow("mbx1", w.Rows["mbx1"])}}
		if i == 2 {
			figures.Rows = append(figures.Rows, StatsRow{Name: "mbx2", Sessions: 1})
		}
		text, err := json.Marshal(figures)
		if err != nil {
			t.Fatal(err)
		}
		var read StatsFigures // as another node has sent it
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, read)
	}
	merged := MergeStats(nodes)
	want := StatsRow{Name: "mbx1", Sessions: 9, SignIns: 6, Refused: map[string]uint64{"bad_credential": 3},
		ServerBytes: 3000}
	want.setTimes(&all)
	got := merged.Rows[0]
	if difference := got.Mean - want.Mean; difference > 1e-9 || difference < -1e-9 {
		t.Errorf("mean %v, want %v", got.Mean, want.Mean)
	}
	got.Mean = want.Mean
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if merged.Seconds != 62 || !merged.To.Equal(nodes[2].To) || len(merged.Rows) != 2 || merged.Rows[1].Sessions != 1 {
		t.Errorf("%+v", merged)
	}
	// what another node sends may be anything
	MergeStats([]StatsFigures{{Rows: []StatsRow{{Buckets: []StatsBucket{{-1 << 40, 1}, {1 << 40, 1}}}}}})
	if got := fmt.Sprint(MergeStats(nil).Rows); got != "[]" {
		t.Error(got)
	}
}
