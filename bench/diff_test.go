package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestOutermost compares with published tables of the Mann-Whitney test.
func TestOutermost(t *testing.T) {
	for _, c := range []struct {
		n, m int
		tail float64
		want int // one more than the critical value of the tables; 0 if they have none
	}{
		{3, 3, 0.025, 0}, {4, 4, 0.025, 1}, {5, 5, 0.025, 3}, {7, 7, 0.025, 9}, {5, 9, 0.025, 8},
		{20, 20, 0.025, 128}, {5, 5, 0.005, 1},
		{4, 4, 0.005, 0}, {60, 60, 0.025, 1426},
	} {
		if got := outermost(c.n, c.m, c.tail); got != c.want && (c.n < 60 || got < c.want-3 || got > c.want+3) {
			t.Errorf("%d and %d at %v: %d, want %d", c.n, c.m, c.tail, got, c.want)
		}
	}
}

// TestShift: an interval at 95 % holds the true factor in about 95 of 100 cases, and one spoilt round does not move
// it far.
func TestShift(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sample := func(factor float64) []float64 {
		values := make([]float64, 7)
		for i := range values {
			values[i] = factor * (1 + 0.05*random.NormFloat64())
		}
		return values
	}
	held := 0
	for range 1000 {
		if s, known := newShift(sample(100), sample(120), 0.95); known && s.Low <= 1.2 && s.High >= 1.2 {
			held++
		}
	}
	if held < 930 || held > 985 {
		t.Errorf("it holds the true factor in %d of 1000 cases", held)
	}
	if s, known := newShift([]float64{10, 11, 10, 9, 10}, []float64{20, 21, 20, 19, 1000}, 0.95); !known ||
		s.Ratio < 1.9 || s.Ratio > 2.2 {
		t.Errorf("%+v", s)
	}
	if s, known := newShift([]float64{1, 2, 3}, []float64{10, 20, 30}, 0.95); known || s.Ratio != 10 {
		t.Errorf("three rounds are sure of %+v", s)
	}
	if s, _ := newShift([]float64{0, 0, 0, 0, 0}, []float64{0, 1, 1, 1, 1}, 0.95); s.Ratio != mostRatio || s.Low != 1 {
		t.Errorf("ratios to zero: %+v", s)
	}
}

// jittered runs rounds against a server that answers in d, give or take a tenth.
func jittered(t *testing.T, rounds int, d time.Duration, seed uint64, change func(*Options)) []*Report {
	var mu sync.Mutex // of random, which all connections share
	random := rand.New(rand.NewPCG(seed, 0))
	percent := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(90 + random.IntN(20))
	}
	var reports []*Report
	for range rounds {
		l := &liar{answer: func(a *answer) {
			time.Sleep(d * percent() / 100)
			a.pass()
		}}
		reports = append(reports, runLied(t, l, change))
	}
	return reports
}

func TestDiff(t *testing.T) {
	options := DiffOptions{Confidence: 0.95, Tolerance: 0.05}
	base := jittered(t, 5, 20*time.Millisecond, 1, nil)
	dead := jittered(t, 4, 20*time.Millisecond, 2, nil)
	dead = append(dead, runLied(t, &liar{answer: func(a *answer) {
		if a.before(9 * time.Second) {
			a.pass()
		}
	}}, nil))
	for _, c := range []struct {
		name       string
		a, b       []*Report
		p50        string // verdict
		regression bool
		undecided  bool
	}{
		{"the same", base, jittered(t, 5, 20*time.Millisecond, 3, nil), verdictSame, false, false},
		{"slower by a third", base, jittered(t, 5, 27*time.Millisecond, 4, nil), verdictWorse, true, false},
		{"faster", base, jittered(t, 5, 15*time.Millisecond, 5, nil), verdictBetter, false, false},
		{"slower by less than matters", base, jittered(t, 5, 20500*time.Microsecond, 6, nil), "", false, false},
		{"with errors", base, dead, "", true, false},
		{"two rounds", base[:2], jittered(t, 2, 40*time.Millisecond, 7, nil), verdictFew, false, true},
		{"parts of one run", base[:1], jittered(t, 1, 27*time.Millisecond, 8, nil), verdictWorse, true, false},
		{"parts of one run, the same", base[:1], base[1:2], "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := NewDiff(c.a, c.b, options)
			if err != nil {
				t.Fatal(err)
			}
			verdict := ""
			for _, f := range d.Figures {
				if f.Judged && strings.HasSuffix(f.Name, "p50 us") {
					verdict = f.Verdict
				}
			}
			if c.p50 != "" && verdict != c.p50 || d.Regression != c.regression || d.Undecided != c.undecided {
				t.Errorf("p50 is %s, regression: %v, undecided: %v", verdict, d.Regression, d.Undecided)
			}
			var text bytes.Buffer
			if err := d.WriteTable(&text); err != nil || strings.Contains(text.String(),
				"REGRESSION") != c.regression {
				t.Errorf("%v\n%s", err, &text)
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("\n%s", &text)
			}
		})
	}
}

// TestDiffRefuses wants rounds of other work refused, with what differs.
func TestDiffRefuses(t *testing.T) {
	base := jittered(t, 1, 10*time.Millisecond, 1, nil)
	changed := builtInProfile(t, "fetch")
	changed.Fetch.Messages++
	fetch := jittered(t, 1, 10*time.Millisecond, 1, withProfile(t, "fetch"))
	for says, other := range map[string][]*Report{
		"profile":     fetch,
		"sessions":    jittered(t, 1, 10*time.Millisecond, 1, func(o *Options) { o.Sessions = 2 }),
		"rate":        jittered(t, 1, 10*time.Millisecond, 1, func(o *Options) { o.Rate = 5 }),
		"duration":    jittered(t, 1, 10*time.Millisecond, 1, func(o *Options) { o.Duration = 5 * time.Second }),
		"closed loop": jittered(t, 1, 10*time.Millisecond, 1, func(o *Options) { o.Rate, o.Closed = 0, true }),
		"warm-up":     jittered(t, 1, 10*time.Millisecond, 1, withWarmUp),
		"no report":   nil,
		"profile's content": {{Setup: func() Setup {
			s := base[0].Setup
			s.ProfileDigest = changed.Digest()
			return s
		}(), Seconds: 10}},
		"was ended": {{Setup: base[0].Setup, Seconds: 4}},
	} {
		if _, err := NewDiff(base, other, DiffOptions{Confidence: 0.95, Tolerance: 0.05}); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if builtInProfile(t, "mixed").Digest() == builtInProfile(t, "fetch").Digest() ||
		changed.Digest() == builtInProfile(t, "fetch").Digest() {
		t.Error("different profiles have one digest")
	}
	again := []*Report{base[0], base[0]}
	if _, err := NewDiff(base, again, DiffOptions{Confidence: 0.95}); err == nil ||
		!strings.Contains(err.Error(), "rounds 1 and 2 of B are of the same run") {
		t.Errorf("%v", err)
	}
	nan := math.NaN()
	for _, o := range []DiffOptions{
		{}, {Confidence: 1}, {Confidence: 0.95, Tolerance: -1}, {Confidence: 0.95, Tolerance: 1},
		{Confidence: nan}, {Confidence: 0.95, Tolerance: nan}, {Confidence: 0.0095},
	} {
		if _, err := NewDiff(base, base, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// TestDamagedReports: numbers that are impossible or contradict each other are refused.
func TestDamagedReports(t *testing.T) {
	if err := sampleReport().check(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Report){
		"seconds":               func(r *Report) { r.Seconds = -1 },
		"rate +Inf":             func(r *Report) { r.Setup.Rate = math.Inf(1) },
		"per second 1e+308":     func(r *Report) { r.Totals.OperationsPerSecond = 1e308 },
		"operations do not":     func(r *Report) { r.Totals.OperationOutcomes.Done++ },
		"commands do not":       func(r *Report) { r.Totals.Commands = 7 },
		"rates are not":         func(r *Report) { r.Totals.CommandsPerSecond /= 2 },
		"errors do not":         func(r *Report) { r.Totals.Errors = 0 },
		"NOOP: its numbers":     func(r *Report) { r.Rows[2].Count-- },
		"NOOP: its histograms":  func(r *Report) { r.Rows[2].Latencies = Latencies{} },
		"NOOP: a number is out": func(r *Report) { r.Rows[2].PerSecond = math.NaN() },
		"series":                func(r *Report) { r.Series[1].PerSecond = -1 },
		"was not written":       func(r *Report) { r.Rows = nil },
	} {
		r := sampleReport()
		change(r)
		if err := r.check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// TestDiffOfRivals: two targets of one comparison may use TLS in different ways.
func TestDiffOfRivals(t *testing.T) {
	a, b := jittered(t, 5, 20*time.Millisecond, 1, nil), jittered(t, 5, 30*time.Millisecond, 2, nil)
	for _, r := range b {
		r.Setup.TLS, r.Setup.Curve = "implicit", "X25519"
	}
	if _, err := NewDiff(a, b, DiffOptions{Confidence: 0.95}); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("%v", err)
	}
	d, err := NewDiff(a, b, DiffOptions{Confidence: 0.95, Rivals: true})
	if err != nil || !d.Regression || !slices.Contains(d.Notes, "other TLS: none and implicit (X25519)") {
		t.Errorf("%v, %+v", err, d)
	}
}

// TestReportFiles reads reports of runs and of comparisons, and refuses what is none.
func TestReportFiles(t *testing.T) {
	var one bytes.Buffer
	r := sampleReport()
	if err := r.WriteJSON(&one); err != nil {
		t.Fatal(err)
	}
	comparison := &Comparison{Results: []Result{{Name: "x", Reports: []*Report{r}},
		{Name: "y", Reports: []*Report{r, r}}}}
	var searched bytes.Buffer
	if err := (&Search{Steps: []Step{{Rate: 1}}, Best: r}).WriteJSON(&searched); err != nil {
		t.Fatal(err)
	}
	var compared bytes.Buffer
	if err := comparison.WriteJSON(&compared); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, target string
		rounds       int
		says         string
	}{
		{one.String(), "", 1, ""}, {one.String() + one.String(), "", 2, ""}, {compared.String(), "y", 2, ""},
		{one.String(), "x", 0, "leave out --target"}, {searched.String(), "", 1, ""},
		{`{"steps": [], "report": null}`, "", 0, "without any step"},
		{`{"results": [{"name": "a", "reports": [null]}]}`, "", 0, "report 1 was not written"},
		{`{"rows": 7}`, "", 0, "in rows there is JSON of another kind"},
		{`{"figures": [], "regression": false}`, "", 0, "bench diff writes"}, {"null", "", 0, "was not written"},
		{compared.String(), "", 0, "name one with --target"}, {compared.String(), "z", 0, "it compares x, y"},
		{"", "", 0, "no report"}, {"{}", "", 0, "was not written by bench run"}, {"[]", "", 0, "JSON of another kind"},
		{"nonsense", "", 0, "invalid"},
		{one.String() + "{", "", 0, "unexpected EOF"},
	} {
		got, err := readReports(strings.NewReader(c.text), c.target)
		if len(got) != c.rounds || (err == nil) != (c.says == "") ||
			err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.20q: %d rounds, %v; want %d, %q", c.text, len(got), err, c.rounds, c.says)
		}
	}
}
