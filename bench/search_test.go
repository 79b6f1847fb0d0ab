package bench

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// TestClimb searches for limits that are known, with every kind of end.
func TestClimb(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, limit  float64 // the greatest rate that holds
		short         float64 // from where on the tool is short of CPU; 0 is never
		hiccups       int     // how many first tries fail that would hold
		least, most   float64 // what may be found
		end           string
		toolIsTheEnd  bool
		fails, broken bool
	}{
		{name: "above", first: 100, limit: 1234, least: 1170, most: 1234, end: "found, to"},
		{name: "below", first: 1000, limit: 37, least: 35, most: 37, end: "found, to"},
		{name: "nothing holds", first: 1000, limit: 0, end: "not even"},
		{name: "everything holds", first: 1, limit: 1e9, least: 1024, most: 1024, end: "search stops at"},
		{name: "the tool is the limit", first: 100, limit: 5000, short: 900, least: 800, most: 900,
			end: "may sustain more", toolIsTheEnd: true},
		{name: "the tool is short at once", first: 100, limit: 5000, short: 50, end: "may sustain more",
			toolIsTheEnd: true},
		{name: "hiccups", first: 100, limit: 1234, hiccups: 3, least: 1170, most: 1234, end: "found, to"},
		{name: "ended", first: 100, limit: 1234, broken: true, least: 100, most: 1234, end: "the search ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, last, hiccups := &Search{}, 0.0, c.hiccups
			err := s.climb(c.first, func(rate float64) (string, error) {
				if c.broken && len(s.Steps) == 3 {
					return "", errors.New("interrupted")
				}
				again := rate == last
				last = rate
				s.Steps = append(s.Steps, Step{Rate: rate})
				switch {
				case c.short > 0 && rate > c.short:
					return stepShort, nil
				case hiccups > 0 && !again:
					hiccups--
					return stepFailed, nil
				case rate > c.limit:
					return stepFailed, nil
				}
				return stepHeld, nil
			})
			if (err != nil) != c.broken || s.Found < c.least || s.Found > c.most || !strings.Contains(s.End, c.end) ||
				s.ToolLimit != c.toolIsTheEnd {
				t.Errorf("%v, %+v", err, s)
			}
			if len(s.Steps) > searchTries || math.IsNaN(s.Found) {
				t.Errorf("%d steps", len(s.Steps))
			}
			if verdict := s.Verdict(); c.toolIsTheEnd != strings.Contains(verdict, "short of CPU") ||
				c.toolIsTheEnd && s.Found > 0 && !strings.HasPrefix(verdict, "at least") {
				t.Error(verdict)
			}
		})
	}
}

// TestFindRate searches against a server whose capacity is known: one session, and answers that take 10 ms each.
func TestFindRate(t *testing.T) {
	slow := func() *liar {
		return &liar{answer: func(a *answer) { time.Sleep(10 * time.Millisecond); a.pass() }}
	}
	fast := func(o *Options) { o.proc, o.Rate, o.Duration = t.TempDir(), 20, 2*time.Second }
	for _, c := range []struct {
		name        string
		liar        *liar
		hold        []string
		least, most float64
	}{
		{"by latency", slow(), []string{"p99<50ms"}, 90, 105},
		{"by a command's latency", slow(), []string{"NOOP p50<=20ms", "errors=0"}, 90, 105},
		{"by errors alone", slow(), []string{"errors=0"}, 90, 106},
		{"never", slow(), []string{"p50<1ms"}, 0, 0},
		{"dead", &liar{answer: func(*answer) {}}, []string{"p99<1h"}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			hold, err := ParseConditions(c.hold)
			if err != nil {
				t.Fatal(err)
			}
			var s *Search
			withLiar(t, c.liar, fast, func(t *testing.T, o Options) {
				began := time.Now()
				if s, err = FindRate(t.Context(), o, hold, nil); err != nil {
					t.Fatal(err)
				}
				if err := o.complete(); err != nil || time.Since(began) > SearchTime(o) {
					t.Errorf("it took %v, at most %v were announced", time.Since(began), SearchTime(o))
				}
			})
			var text, page bytes.Buffer
			if err := errors.Join(s.WriteTable(&text), s.WriteHTML(&page)); err != nil {
				t.Fatal(err)
			}
			if s.Found < c.least || s.Found > c.most || s.Fine() != (c.least > 0) {
				t.Errorf("found %v\n%s", s.Found, &text)
			}
			for _, want := range []string{"Latency by rate", "<circle", "result"} {
				if !strings.Contains(page.String()+text.String(), want) {
					t.Errorf("there is no %s", want)
				}
			}
			for _, bad := range []string{"NaN", "Inf"} {
				if strings.Contains(page.String(), bad) {
					t.Errorf("the page holds %s", bad)
				}
			}
		})
	}
}

// TestFindRateOfASerialServer: a server that does one operation at a time falls behind at twice its rate, however many
// sessions may wait for it.
func TestFindRateOfASerialServer(t *testing.T) {
	hold, err := ParseConditions([]string{"p99<8s"})
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{}
	withLiar(t, l, func(o *Options) {
		turn := make(chan struct{}, 1)
		l.answer = func(a *answer) {
			if a.isTagged() && a.at > time.Second {
				turn <- struct{}{}
				time.Sleep(100 * time.Millisecond)
				<-turn
			}
			a.pass()
		}
		o.proc, o.Rate, o.Sessions, o.Ramp, o.Duration = t.TempDir(), 5, 50, time.Second, 5*time.Second
	}, func(t *testing.T, o Options) {
		s, err := FindRate(t.Context(), o, hold, nil)
		if err != nil || s.Found < 9 || s.Found > 11 {
			t.Errorf("found %v, %v", s.Found, err)
		}
	})
}

// TestSecondHalf counts what is due and done in the second half of a run.
func TestSecondHalf(t *testing.T) {
	r := runLied(t, &liar{answer: func(a *answer) {
		if a.at < 7*time.Second {
			a.pass()
		}
	}}, nil)
	if r.Loop.SecondHalfDue != 50 || r.Loop.SecondHalfEnded < 19 || r.Loop.SecondHalfEnded > 21 {
		t.Errorf("%+v", r.Loop)
	}
}

// TestSearchWithoutCPU: if conditions hold although the tool is short of CPU, the server holds them. If they do not,
// the step decides nothing.
func TestSearchWithoutCPU(t *testing.T) {
	r := runLied(t, &liar{}, nil)
	r.Tool.Shortage = []string{"the machine's CPUs were 97 % busy"}
	hold, err := ParseConditions([]string{"p99<300ms"})
	if err != nil {
		t.Fatal(err)
	}
	s := &Search{figure: hold[0]}
	if got := s.take(r, hold); got != stepHeld || !s.ToolShort() || s.Steps[0].Text() !=
		"held (although the tool was short of CPU)" {
		t.Errorf("%s, %+v", got, s.Steps)
	}
	hold[0].limit = 0
	if got := s.take(r, hold); got != stepShort {
		t.Errorf("%s, %+v", got, s.Steps)
	}
}

// TestSearchEndsEarly: a search that is ended says so, and keeps its steps.
func TestSearchEndsEarly(t *testing.T) {
	hold, err := ParseConditions([]string{"p99<1s"})
	if err != nil {
		t.Fatal(err)
	}
	withLiar(t, &liar{}, func(o *Options) { o.proc = t.TempDir() }, func(t *testing.T, o Options) {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := FindRate(ctx, o, hold, func(step int, _, _ float64) {
			if step == 3 {
				cancel()
			}
		})
		if err != nil || !s.EndedEarly || len(s.Steps) != 2 || s.Found != 20 ||
			!strings.HasPrefix(s.Verdict(), "at least 20 ") {
			t.Errorf("%v, %+v", err, s)
		}
	})
}
