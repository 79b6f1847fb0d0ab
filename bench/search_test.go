package bench

import (
	"bytes"
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
	fast := func(o *Options) { o.proc, o.Rate, o.Duration = t.TempDir(), 20, 5*time.Second }
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
