package bench

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sampleReport is a report with something in every part of it.
func sampleReport() *Report {
	sample := func(r row, low, high int64, o outcome, bad int64) Row {
		record := &rowRecord{}
		for i := range int64(1000) {
			of := outcomeDone
			if i >= 1000-bad {
				of = o
			}
			record.record(time.Duration(low+(high-low)*i*i/1_000_000)*time.Microsecond, of, r == rowLogin)
		}
		return newRow(r, record, 10)
	}
	r := &Report{
		WarmUp: &WarmUp{Seconds: 5, Operations: Outcomes{All: 1000, Done: 998, Refused: 2},
			Commands: Outcomes{All: 2000, Done: 2000}, Errors: 2},
		Started: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 10,
		Setup: Setup{
			Targets: []string{"127.0.0.1:143", "<u>:993"}, TLS: "implicit", Profile: "desktop", Sessions: 50,
			Users: 20, Rate: 200,
			Ramp: 2, Duration: 10, Verify: "all", Seed: 1, Mechanism: "plain", Timeout: 30, Grace: 5, Backlog: 1000,
			Version: "1.2.3", Machine: "linux/amd64, 2 CPUs",
		},
		Totals: Totals{
			Commands: 1996, CommandsPerSecond: 199.6, Operations: 989, OperationsPerSecond: 98.9, In: 5 << 20,
			Out: 300 << 10, Errors: 15,
			CommandOutcomes:   Outcomes{All: 2000, Done: 1996, Failed: 3, TimedOut: 1},
			OperationOutcomes: Outcomes{All: 1000, Done: 989, NeverBegun: 11},
		},
		Sessions: SessionCount{Most: 50, AtEnd: 49, Reconnects: 2},
		Loop:     Loop{MostBehind: 12, DelayP99: 900, DelayMax: 1500},
		Rows: []Row{
			sample(rowOpDesktop, 400, 12_000_000, outcomeNeverBegun, 11), sample(rowLogin, 800, 9000, outcomeDone, 0),
			sample(rowNoop, 40, 2_000_000, outcomeTimedOut, 1), sample(rowFetchBody, 300, 80_000, outcomeFailed, 3),
		},
		Errors: []ErrorCount{
			{"dropped", 1, []string{"user1: NOOP: dropped: the server closed the connection"}},
			{"never begun", 11, []string{"user1: desktop, whole: never begun: due for 1200 ms"}},
			{"wrong checksum", 3, []string{"user2: UID FETCH body: wrong checksum: <script>alert(1)</script>"}},
		},
		Spent: &Spent{
			CPU: 0.5, User: 0.2, System: 0.3, PerCommand: 250, PerGB: 90, PerSignIn: 10_000, MemoryBefore: 20 << 20,
			Memory:        21 << 20,
			PssPerSession: 20_971.5, Problem: "no process 7",
		},
		Tool: newTool(
			toolMark{}, toolMark{1250 * time.Millisecond,
				map[int]threadTime{1: {time.Second, 500 * time.Millisecond, 1000}}, machineTime{97, 100}},
			newHistogram(), newHistogram(),
		),
	}
	r.Tool.CPUs, r.Tool.Version = 2, "go"
	for i := range 12 {
		r.Series = append(r.Series, Point{
			At: float64(i - 1), Length: 1, Sessions: min(50, 25*i), PerSecond: float64(180 + 10*(i%4)),
			P50: 90 + int64(i), P99: 2000 + 100*int64(i),
			Max: 5000 * (1 + int64(i)%3), Errors: uint64(i % 5 / 4 * 2), In: 400_000, Out: 25_000, Behind: int64(i),
		})
	}
	r.judge([]Condition{
		{text: "p99>100ms", percent: 99, compare: ">", limit: 100_000},
		{text: "errors>20", measure: measureErrors, compare: ">", limit: 20},
	})
	return r
}

func TestReportGolden(t *testing.T) {
	r := sampleReport()
	for i := range r.Rows {
		r.Rows[i].Latencies = Latencies{} // their compressed bytes may change with the library
	}
	for name, write := range map[string]func(io.Writer) error{
		"report.txt": r.WriteTable, "report.json": r.WriteJSON, "report.html": r.WriteHTML,
	} {
		golden(t, name, write)
	}
}

// golden compares what is written with a file in testdata.
func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs; see what -update changes. It is now:\n%.3000s", name, got.Bytes())
	}
}

// TestPageStandsAlone wants the page to load nothing, to run nothing, and to show words as words.
func TestPageStandsAlone(t *testing.T) {
	var b strings.Builder
	if err := sampleReport().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<script", "http://", "https://", "src=", "href=", "url(", "@import", "<u>",
		"NaN", "Inf"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, good := range []string{"&lt;u&gt;:993", "&lt;script&gt;", "prefers-color-scheme: dark",
		"Latency by percentile", "Errors over time"} {
		if !strings.Contains(page, good) {
			t.Errorf("the page does not hold %q", good)
		}
	}
}

// TestFreezeIsAGap: where nothing was answered there is no line, and the page says so.
func TestFreezeIsAGap(t *testing.T) {
	r := &Report{Seconds: 5}
	for i, us := range []int64{90, 95, 0, 0, 80} {
		r.Series = append(r.Series, Point{At: float64(i + 1), Length: 1, P50: us, P99: us, Max: us})
	}
	drawn := string(r.latencyPlot().SVG())
	if lines := strings.Count(drawn, "<path"); lines != 3*2 || !strings.Contains(drawn, "p99: nothing answered") {
		t.Errorf("%d lines, want one before and one behind the gap for each of three:\n%s", lines, drawn)
	}
}

// TestPercentilesAreSteps: between two percentiles that are known the greater holds.
func TestPercentilesAreSteps(t *testing.T) {
	p := &plot{x: axis{low: 0, high: 1}, y: axis{low: 0, high: 1}}
	if path := p.path(plotLine{steps: true, x: []float64{0, 1}, y: []float64{0, 1}}); !strings.Contains(path,
		"V12.0H626.0") {
		t.Errorf("path %s", path)
	}
}

// TestTooFewLatencies: a percentile without a latency above it is no figure.
func TestTooFewLatencies(t *testing.T) {
	for n, want := range map[int]string{1: "[p90_us p99_us p999_us]", 10: "[p99_us p999_us]", 999: "[p999_us]",
		1000: "[]"} {
		record := &rowRecord{}
		for range n {
			record.record(time.Millisecond, outcomeDone, false)
		}
		row := newRow(rowNoop, record, 10)
		if got := fmt.Sprint(row.TooFew); got != want {
			t.Errorf("%d latencies: %s, want %s", n, got, want)
		}
		if n == 1 && (row.Text("p50_us") == "-" || row.Text("p999_us") != "-") {
			t.Errorf("%q, %q", row.Text("p50_us"), row.Text("p999_us"))
		}
	}
}

// TestNoNegativeSizes: memory that shrinks is no size of a session.
func TestNoNegativeSizes(t *testing.T) {
	e := &engine{options: Options{Account: &Account{before: 30 << 20}}}
	spent := e.spent(mark{}, mark{memory: 20 << 20, sessions: 10}, newRecorder(false).results())
	if text := table(&Report{Spent: spent}); spent.PssPerSession != 0 ||
		!strings.Contains(text, "20.00 MiB at the end: it did not grow") {
		t.Errorf("%v a session\n%s", spent.PssPerSession, text)
	}
}

// TestEmptyReport: a run in which nothing happened can be shown too.
func TestEmptyReport(t *testing.T) {
	for _, r := range []*Report{{}, {Series: []Point{{}}, Rows: []Row{{Command: true}}}} {
		for _, write := range []func(io.Writer) error{r.WriteTable, r.WriteJSON, r.WriteHTML} {
			var b strings.Builder
			if err := write(&b); err != nil || strings.Contains(b.String(), "NaN") ||
				strings.Contains(b.String(), "Inf") {
				t.Errorf("%v: %s", err, b.String())
			}
		}
	}
}
