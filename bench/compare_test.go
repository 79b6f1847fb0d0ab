package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// TestCompare runs from a file, in turns, against two sinks.
func TestCompare(t *testing.T) {
	testkit.NoLeaks(t)
	dir := t.TempDir()
	lay(t, dir, map[string]string{"pw": "secret\n", "me.pid": fmt.Sprintln(os.Getpid()), "compare.yaml": fmt.Sprintf(`
rounds: 3
base: second
work: {profile: noop, users: "user%%d:1-3", password_file: pw, sessions: 3, duration: 100ms, closed: true}
targets:
  - {name: first, target: "%s", pid_file: me.pid}
  - {name: second, target: "%s"}
`, startSink(t), startSink(t))})
	plan, err := LoadComparePlan(filepath.Join(dir, "compare.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	contestants, err := plan.Contestants(t.Context(), fixedNames{}, false)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	result, err := Compare(t.Context(), contestants, plan.Rounds, plan.Base, func(round int, name string) {
		order = append(order, fmt.Sprint(round, name))
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"1first", "1second", "2second", "2first", "3first", "3second"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	first, second := result.Results[0].Figures, result.Results[1].Figures
	if len(first["CPU us a command"].Rounds) != 3 || len(second["CPU us a command"].Rounds) != 0 ||
		second["commands a second"].Ratio != 1 || result.Errors != 0 {
		t.Errorf("%+v", result)
	}
}

// TestCompareEndsEarly: a comparison that is ended keeps the rounds until then, also if a run becomes impossible.
func TestCompareEndsEarly(t *testing.T) {
	withLiar(t, &liar{}, nil, func(t *testing.T, o Options) {
		both := []Contestant{{"a", o}, {"b", o}}
		ctx, cancel := context.WithCancel(t.Context())
		runs := 0
		c, err := Compare(ctx, both, 7, "", func(int, string) {
			if runs++; runs == 4 {
				time.AfterFunc(3*time.Second, cancel)
			}
		})
		if err != nil || c == nil || !c.EndedEarly || c.Planned != 7 || len(c.Results[0].Reports) != 1 ||
			len(c.Results[1].Reports) != 2 {
			t.Fatalf("%v, %+v", err, c)
		}
		var text strings.Builder
		if err := c.WriteTable(&text); err != nil ||
			!strings.Contains(text.String(), "ENDED EARLY, after 1 (a), 2 (b) of 7 rounds") {
			t.Errorf("%v\n%s", err, &text)
		}
		if c, err := Compare(ctx, both, 7, "", nil); c != nil || err != nil {
			t.Errorf("%v, %+v", err, c)
		}
		both[1].Options.Timeout = -1
		if c, err := Compare(t.Context(), both, 7, "", nil); err == nil || c == nil || !c.EndedEarly {
			t.Errorf("%v, %+v", err, c)
		}
	})
}

// TestRunEndsEarly: a run that is ended says so.
func TestRunEndsEarly(t *testing.T) {
	withLiar(t, &liar{}, nil, func(t *testing.T, o Options) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(4*time.Second, cancel)
		r, err := Run(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		var page strings.Builder
		if err := r.WriteHTML(&page); err != nil || !r.EndedEarly || r.Seconds != 4 ||
			!strings.Contains(table(r), "ENDED EARLY: 4 of 10 s were measured") ||
			!strings.Contains(page.String(), "ended early: 4 of 10 s") {
			t.Errorf("%v\n%s", err, table(r))
		}
		if r := mustRun(t, o); r.EndedEarly || strings.Contains(table(r), "ENDED") {
			t.Errorf("a whole run\n%s", table(r))
		}
	})
}

// TestComparisonTable is about medians, spread and ratios.
func TestComparisonTable(t *testing.T) {
	reports := func(rates ...float64) (all []*Report) {
		for _, rate := range rates {
			all = append(all, &Report{Totals: Totals{CommandsPerSecond: rate, OperationsPerSecond: rate / 2},
				Spent: &Spent{PerCommand: 1e4 / rate}})
		}
		return all
	}
	of := [][]*Report{reports(100, 300, 200), reports(400, 410, 390), reports(200, 0, 210)}
	of[2][1].Spent = &Spent{} // that target was dead
	of[1][2].Totals.Errors = 2
	of[1][2].Errors = []ErrorCount{{"time-out", 2, []string{"user1: NOOP: no answer in time"}}}
	of[1][0].Tool.Shortage = []string{"the machine's CPUs were 97 % busy"}
	c := newComparison([]Contestant{{Name: "one"}, {Name: "other"}, {Name: "dead once"}}, of, "one")
	if f := c.Results[2].Figures["commands a second"]; f.Median != 200 || f.Low != 0 || len(f.Rounds) != 3 {
		t.Errorf("a round of zero: %+v", f)
	}
	if f := c.Results[2].Figures["CPU us a command"]; len(f.Rounds) != 2 || f.Lacked != 1 {
		t.Errorf("a figure that a round does not have: %+v", f)
	}
	if f := c.Results[1].Figures["commands a second"]; f.Median != 400 || f.Low != 390 || f.High != 410 ||
		f.Ratio != 2 {
		t.Errorf("%+v", f)
	}
	if !c.Short() || c.Results[0].Short != 0 || c.Results[1].Short != 1 {
		t.Errorf("rounds in which the tool was short of CPU: %+v", c.Results)
	}
	golden(t, "compare.txt", c.WriteTable)
	for i := range c.Results {
		c.Results[i].Reports = nil
	}
	golden(t, "compare.json", c.WriteJSON)
}

func TestBadComparePlans(t *testing.T) {
	dir := t.TempDir()
	work := "work: {profile: noop, users: u, password_file: pw, duration: 1s}\n"
	lay(t, dir, map[string]string{"pw": "secret\n"})
	for text, want := range map[string]string{
		work: "list the targets",
		work + "targets: [{name: a, target: \"127.0.0.1:1\"}]\nbogus: 1\n":                           "bogus",
		work + "targets: [{target: \"127.0.0.1:1\"}]\n":                                              "its own name",
		work + "targets: [{name: a, target: \"127.0.0.1:1\"}, {name: a, target: \"127.0.0.1:2\"}]\n": "its own name",
		work + "targets: [{name: a, target: \"192.0.2.1:1\"}]\n":                                     "loopback",
		strings.Replace(work, "work: {", "work: {target: [x], ", 1) +
			"targets: [{name: a, target: \"127.0.0.1:1\"}]\n": "leave out work.target",
		work + "base: b\ntargets: [{name: a, target: \"127.0.0.1:1\"}]\n":      `called "b"`,
		work + "rounds: 5000\ntargets: [{name: a, target: \"127.0.0.1:1\"}]\n": "1000 rounds",
		work + "targets: [{name: a, target: \"127.0.0.1:1\", pid_file: pw}]\n": "pid file",
		strings.Replace(work, "work: {", "work: {pid: [1], ", 1) +
			"targets: [{name: a, target: \"127.0.0.1:1\"}]\n": "not to the work",
		strings.Replace(work, "1s", "0s", 1) + "targets: [{name: a, target: \"127.0.0.1:1\"}]\n": "duration 0s",
		strings.Replace(work, "1s", "1s, rate: 0", 1) +
			"targets: [{name: a, target: \"127.0.0.1:1\"}]\n": "rate 0",
	} {
		lay(t, dir, map[string]string{"plan.yaml": text})
		plan, err := LoadComparePlan(filepath.Join(dir, "plan.yaml"))
		if err == nil {
			var contestants []Contestant
			if contestants, err = plan.Contestants(t.Context(), fixedNames{}, false); err == nil {
				_, err = Compare(t.Context(), contestants, plan.Rounds, plan.Base, nil)
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestMedian(t *testing.T) {
	if median([]float64{3, 1, 2}) != 2 || median([]float64{4, 1, 2, 3}) != 2.5 {
		t.Error("a median is wrong")
	}
}
