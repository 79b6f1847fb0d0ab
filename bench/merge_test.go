package bench

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// TestMerge adds two machines of which one saw a slow server, one second apart.
func TestMerge(t *testing.T) {
	slow := &liar{answer: func(a *answer) { time.Sleep(40 * time.Millisecond); a.pass() }}
	a, b := runLied(t, &liar{}, nil), runLied(t, slow, failIf(t, "p99>30ms", "p40>30ms"))
	b.MeasuredFrom = a.MeasuredFrom.Add(time.Second)
	whole, err := Merge([]*Report{b, a}, failIfConditions(t, "rate<19"))
	if err != nil {
		t.Fatal(err)
	}
	whole.Setup.Rate, whole.Seconds = 20, 10 // what checkSums adds up
	checkSums(t, whole)
	noop := whole.rowOf("NOOP")
	if noop.Count != 200 || noop.P50 > 1000 && noop.P50 < 39_000 || noop.P90 < 40_000 ||
		whole.Totals.OperationsPerSecond < 19.9 ||
		whole.Setup.Sessions != 2 || whole.Sessions.AtEnd != 2 || !whole.MeasuredFrom.Equal(a.MeasuredFrom) {
		t.Errorf("\n%s", table(whole))
	}
	if len(whole.RunIDs) != 2 || whole.Tool.CPUs != a.Tool.CPUs && len(whole.Setup.Boots) == 1 {
		t.Errorf("runs %v on %v with %d CPUs", whole.RunIDs, whole.Setup.Boots, whole.Tool.CPUs)
	}
	whole.Setup.Rate, whole.Seconds = 20, b.Seconds
	if err := whole.check(); err != nil {
		t.Error(err)
	}
	c := *b
	c.RunIDs, c.Setup.Boots = []string{"c"}, []string{"another machine"}
	if two, err := Merge([]*Report{a, &c}, nil); err != nil || two.Tool.CPUs != a.Tool.CPUs+b.Tool.CPUs ||
		!strings.HasPrefix(two.Setup.Machine, "2 load machines: ") {
		t.Errorf("%v, %+v", err, two)
	}
	var failed []string
	for _, j := range whole.FailedConditions() {
		failed = append(failed, j.Condition)
	}
	if got := strings.Join(failed, " "); got != "p99>30ms" || len(whole.Conditions) != 3 {
		t.Errorf("failed conditions: %q of %d", got, len(whole.Conditions))
	}
	var bytesIn uint64
	for i, p := range whole.Series {
		bytesIn += p.In
		if i > 0 && p.At <= whole.Series[i-1].At {
			t.Errorf("the series goes back at %v s", p.At)
		}
	}
	var want uint64
	for _, p := range append(a.Series, b.Series...) {
		want += p.In
	}
	if last := whole.Series[len(whole.Series)-1]; bytesIn != want || last.At < 10.9 {
		t.Errorf("the series has %d bytes, want %d, and ends at %v s", bytesIn, want, last.At)
	}
	for _, write := range []func(io.Writer) error{whole.WriteHTML, whole.WriteJSON, whole.WriteTable} {
		if err := write(io.Discard); err != nil {
			t.Error(err)
		}
	}
}

func failIfConditions(t *testing.T, texts ...string) []Condition {
	var o Options
	failIf(t, texts...)(&o)
	return o.FailIf
}

// TestMergeRefuses wants other work and other times refused.
func TestMergeRefuses(t *testing.T) {
	a := runLied(t, &liar{}, nil)
	later, other, undated := *a, *a, *a
	later.RunIDs, other.RunIDs, undated.RunIDs = []string{"1"}, []string{"2"}, []string{"3"}
	later.MeasuredFrom = a.MeasuredFrom.Add(6 * time.Second)
	other.Setup.Mechanism = "plain"
	undated.MeasuredFrom = time.Time{}
	for says, reports := range map[string][]*Report{
		"at least two": {a}, "in common": {a, &later}, "another mechanism": {a, &other},
		"when it was measured": {a, &undated}, "reports 1 and 3 are of the same run": {a, &undated, a},
	} {
		if _, err := Merge(reports, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestIntervalLog: intervals add up to the report, and the log can be read by the library's reader.
func TestIntervalLog(t *testing.T) {
	var text bytes.Buffer
	log := NewIntervalLog(&text, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), "a test")
	r := runLied(t, &liar{answer: func(a *answer) { time.Sleep(25 * time.Millisecond); a.pass() }},
		func(o *Options) { o.Intervals = log.Write })
	if log.Err() != nil {
		t.Fatal(log.Err())
	}
	counts, worst := make(map[string]int64), make(map[string]int64)
	reader := hdrhistogram.NewHistogramLogReader(bytes.NewReader(text.Bytes()))
	for {
		h, err := reader.NextIntervalHistogram()
		if h == nil || err != nil {
			break
		}
		counts[h.Tag()] += h.TotalCount()
		worst[h.Tag()] = max(worst[h.Tag()], h.Max())
	}
	if counts["NOOP"] != int64(r.rowOf("NOOP").Count) || counts["noop-whole"] != 100 || counts["LOGIN"] != 1 {
		t.Errorf("%v\n%.1000s", counts, &text)
	}
	if ms := worst["NOOP"] / 1e6; ms != 25 {
		t.Errorf("the worst NOOP took %d ms", ms)
	}
	for _, want := range []string{"#[Histogram log format version 1.3]", "#[StartTime: 946684800", "Tag=NOOP,",
		`"StartTimestamp"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("there is no %s in\n%.1000s", want, &text)
		}
	}
	if log := NewIntervalLog(brokenWriter{}, time.Now(), ""); log.Err() == nil {
		t.Error("a full disk goes unnoticed")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
