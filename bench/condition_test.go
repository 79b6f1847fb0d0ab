package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParseCondition(t *testing.T) {
	for _, c := range []struct{ text, says string }{ // says is part of the error, "" if the condition is good
		{"p99>100ms", ""}, {" p99.9 >= 1.5s ", ""}, {"p50>250us", ""}, {"p50 > 250 us", ""}, {"max<2s", ""},
		{"mean==0s", ""},
		{"errors>0", ""}, {"errors>0.1%", ""}, {"LOGIN errors>=5 %", ""}, {"rate<950", ""}, {"rate<950/s", ""},
		{"rate!=1e3", ""},
		{"FETCH p99>100ms", ""}, {"uid fetch BODY p99>100ms", ""}, {"noop, whole p99>1s", ""},
		{"tls handshake max>1s", ""},
		{"commands p99>1s", ""}, {"operations rate<5", ""}, {"COMMANDS errors>0", ""},
		{"", "write for example"}, {"p99", "write for example"}, {"p99>", "write for example"},
		{">100ms", "write for example"}, {"p99~1s", "write for example"},
		{"99>1s", "write for example"}, {"FETCHp99>1s", "write for example"},
		{"p99>100ms and errors>0", "neither a command"}, {"p99>100ms,errors>0", "unit"}, {"p99>100ms;", "unit"},
		{"latency>1s", "write for example"},
		{"p999>1s", "p99.9"}, {"p100>1s", "max"}, {"p0>1s", "percentile"}, {"p9.9.9>1s", "percentile"},
		{"p.>1s", "percentile"},
		{"p99>100", "unit"}, {"p99>-1s", "latency"}, {"p99>2h", "at most 1h"}, {"p99>1%", "unit"}, {"p99>NaN", "unit"},
		{"errors>1s", "number of errors"}, {"errors>-1", "number of errors"}, {"errors>101%", "percentage"},
		{"errors>NaN", "number of errors"},
		{"rate<100ms", "rate"}, {"rate<Inf", "rate"}, {"rate<1e999", "rate"}, {"rate<10%", "rate"},
		{"FTCH p99>1s", `"FTCH" is neither`}, {"connect me p99>1s", "neither a command nor"},
		{"body p99>1s", "neither a command nor"},
	} {
		got, err := ParseCondition(c.text)
		switch {
		case c.says == "" && (err != nil || got.String() != strings.Join(strings.Fields(c.text), " ")):
			t.Errorf("%q: %q, %v", c.text, got, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%q: %v, want an error that says %q", c.text, err, c.says)
		}
	}
}

// TestJudgements has conditions judged on a report whose figures are known.
func TestJudgements(t *testing.T) {
	row := func(r row, good, bad int, ms int) Row {
		record := &rowRecord{}
		for range good {
			record.record(time.Duration(ms)*time.Millisecond, outcomeDone, false)
		}
		for range bad {
			record.record(time.Duration(ms)*time.Millisecond, outcomeTimedOut, false)
		}
		return newRow(r, record, 10)
	}
	r := &Report{
		Rows: []Row{
			row(rowOpFetch, 990, 10, 20), row(rowFetch, 100, 0, 10), row(rowFetchBody, 100, 0, 30),
			row(rowLogin, 0, 0, 1),
		},
		Totals: Totals{Errors: 12, Operations: 990, OperationOutcomes: Outcomes{All: 1000, Done: 990}},
	}
	for _, c := range []struct {
		text, measured string
		failed         bool
	}{
		{"p50>15ms", "20.02 ms", true}, {"p50>25ms", "20.02 ms", false}, {"p50<25ms", "20.02 ms", true},
		{"p99.9>15ms", "at least 20.02 ms", true}, {"p99.9>25ms", "at least 20.02 ms, and it may be more", true},
		{"p99.9<15ms", "at least 20.02 ms", false},
		{"max>1h", "may be more", true}, {"max=20ms", "at least 20.02 ms", false},
		{"max=30ms", "may be more", true}, {"max=1ms", "at least", false}, {"max!=1ms", "at least", true},
		{"errors>0", "12", true}, {"errors>12", "12", false}, {"errors>=12", "12", true},
		{"errors>1%", "1 %", false}, {"errors>=1%", "1 %", true},
		{"fetch, whole errors>0.5%", "1 %", true}, {"rate<99", "99", false}, {"rate<100", "99 a second", true},
		{"FETCH p50>20ms", "10.01 ms", false}, {"FETCH p51>20ms", "30.02 ms", true},
		{"UID FETCH max>20ms", "10.01 ms", false}, {"UID FETCH body mean>20ms", "30.0", true},
		{"FETCH rate<20", "20 a second", false}, {"commands rate<21", "20 a second", true},
		{"commands errors>0", "0", false},
		{"LOGIN p99>1s", "nothing was measured", true}, {"NOOP p99>1s", "nothing was measured", true},
		{"NOOP errors>0", "nothing was measured", true},
		{"NOOP rate<1", "nothing was measured", true},
	} {
		condition, err := ParseCondition(c.text)
		if err != nil {
			t.Fatal(err)
		}
		r.judge([]Condition{condition})
		j := r.Conditions[0]
		known := c.measured != "nothing was measured"
		if j.Failed != c.failed || !strings.Contains(j.Text, c.measured) || (j.Measured != nil) != known {
			t.Errorf("%s: %+v; want %q, failed: %v", c.text, j, c.measured, c.failed)
		}
		if text := table(r); !strings.Contains(text, j.Verdict()+"  "+c.text) {
			t.Errorf("%s is not in the table:\n%s", c.text, text)
		}
	}
}

// failIf adds conditions to a run.
func failIf(t *testing.T, texts ...string) func(*Options) {
	conditions, err := ParseConditions(texts)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.FailIf = conditions }
}

// TestConditionsOfRuns runs against servers with a known fault.
func TestConditionsOfRuns(t *testing.T) {
	slow := &liar{answer: func(a *answer) { time.Sleep(50 * time.Millisecond); a.pass() }}
	dead := &liar{answer: func(a *answer) {
		if a.before(5 * time.Second) {
			a.pass()
		}
	}}
	for _, c := range []struct {
		name  string
		liar  *liar
		texts []string
		fails string // the conditions that fail
		fine  bool
	}{
		{"slow, and may be", slow, []string{"NOOP p99>100ms", "errors>0", "rate<9.9"}, "", true},
		{"slow, and may not be", slow, []string{"NOOP p99>20ms", "errors>0", "p50>60ms"}, "NOOP p99>20ms", false},
		{"dead, within limits", dead, []string{"errors>80%"}, "", true},
		{"dead", dead, []string{"errors>10%", "rate<9", "p10>1s", "p99>1h"}, "errors>10% rate<9 p99>1h", false},
		{"dead, and nobody asks for errors", dead, []string{"p10>1s"}, "", false},
		{"never alive", &liar{answer: func(*answer) {}}, []string{"errors>100%"}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runLied(t, c.liar, failIf(t, c.texts...))
			var fails []string
			for _, j := range r.FailedConditions() {
				fails = append(fails, j.Condition)
			}
			if got := strings.Join(fails, " "); got != c.fails || r.Fine() != c.fine {
				t.Errorf("failed: %q, fine: %v\n%s", got, r.Fine(), table(r))
			}
		})
	}
}

// TestHistogramsSurviveJSON: a report that was read again has the same distributions.
func TestHistogramsSurviveJSON(t *testing.T) {
	before := sampleReport()
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var after Report
	if err := json.Unmarshal(text, &after); err != nil {
		t.Fatal(err)
	}
	for i, row := range after.Rows {
		want := before.Rows[i]
		row.describe(row.Latencies)
		if row.P99 != want.P99 || row.Text("p999_us") != want.Text("p999_us") || row.Mean != want.Mean ||
			len(row.Curve) != len(want.Curve) {
			t.Errorf("%s: %+v, want %+v", row.Name, row, want)
		}
	}
	for _, bad := range []string{`{"done":"x"}`, `{"done":1}`, `{"not_done":"HISTFAAA"}`} {
		if err := json.Unmarshal([]byte(bad), &Latencies{}); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
