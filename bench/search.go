package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Limits of a search for the highest rate.
const (
	searchTries     = 24   // runs
	searchPrecision = 0.05 // of the rate that is found
	searchSpan      = 1024 // largest factor between the first rate and any other
	mostLacking     = 0.02 // of the operations due in the second half of a step, that may be left for later
)

// Search is the result of a search for the highest rate at which conditions hold.
type Search struct {
	Conditions []string `json:"conditions"`
	Found      float64  `json:"rate"`      // the highest that held, in operations a second; 0 if none did
	Failed     float64  `json:"failed_at"` // the lowest that did not hold; 0 if none failed
	End        string   `json:"end"`       // why the search has ended
	ToolLimit  bool     `json:"tool_was_short_of_cpu"`
	EndedEarly bool     `json:"ended_early"`
	Sessions   int      `json:"sessions"`
	Steps      []Step   `json:"steps"`
	Best       *Report  `json:"report,omitempty"` // of the highest rate that held, or of the last step

	figure   Condition // the figure of the plot
	speedOne float64   // the rate of a recording at its own speed; 0 if none is played
}

// Step is one run of a search.
type Step struct {
	Rate    float64 `json:"rate"`            // operations due a second
	Speed   float64 `json:"speed,omitempty"` // of a replay
	Done    float64 `json:"done_per_second"`
	P50     string  `json:"p50"`
	P99     string  `json:"p99"`
	Errors  uint64  `json:"errors"`
	Figure  float64 `json:"figure"` // what the first condition on a latency looks at, in microseconds, otherwise p99
	Outcome string  `json:"outcome"`
	Reasons string  `json:"reasons,omitempty"` // why it did not hold
}

// The outcomes of steps.
const (
	stepHeld   = "held"
	stepFailed = "failed"
	stepShort  = "tool short of CPU"
)

// SearchTime returns the longest time of a search with these options.
func SearchTime(o Options) time.Duration { return searchTries * stepTime(o) }

func stepTime(o Options) time.Duration { return o.Ramp + settle + o.WarmUp + o.Duration + 2*o.Grace }

// FindRate searches for the highest rate at which all conditions hold, by doubling or halving the first rate and then
// by bisection. A step that fails is done twice. told is called before each step; it may be nil. If ctx ends or a step
// is not possible, the search holds the steps until then. The error is about a step that was not possible.
func FindRate(ctx context.Context, o Options, hold []Condition,
	told func(step int, rate, speed float64)) (*Search, error) {
	if len(hold) == 0 || o.Closed {
		return nil, errors.New("a search needs a condition, and an open loop")
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &Search{Sessions: o.Sessions, figure: plottedFigure(hold), speedOne: o.Profile.replaysAt()}
	for _, c := range hold {
		s.Conditions = append(s.Conditions, c.String())
	}
	limited, cancel := context.WithTimeout(ctx, SearchTime(o))
	defer cancel()
	err := s.climb(o.Rate, func(rate float64) (string, error) {
		if told != nil {
			told(len(s.Steps)+1, rate, s.speedAt(rate))
		}
		report, err := Run(limited, o.atRate(rate))
		if err != nil || limited.Err() != nil {
			return "", errors.Join(err, limited.Err())
		}
		return s.take(report, hold), nil
	})
	if limited.Err() != nil {
		s.EndedEarly, err = ctx.Err() != nil, nil
	}
	return s, err
}

// plottedFigure is the first condition on a latency, or p99.
func plottedFigure(hold []Condition) Condition {
	for _, c := range hold {
		if c.unit() == "us" {
			return c
		}
	}
	return Condition{percent: 99}
}

// speedAt returns the speed of a replay at a rate; 0 for other profiles.
func (s *Search) speedAt(rate float64) float64 { return per(rate, s.speedOne) }

// take records a step and returns its outcome. A tool that is short of CPU makes latencies longer. So if the conditions
// hold all the same, the server holds them; if they do not, the step decides nothing.
func (s *Search) take(r *Report, hold []Condition) string {
	step := Step{
		Rate: r.Setup.Rate, Speed: s.speedAt(r.Setup.Rate), Done: r.Totals.OperationsPerSecond,
		Errors: r.Totals.Errors, Outcome: stepHeld,
		P50:    r.measure(Condition{percent: 50}).text(Condition{}),
		P99:    r.measure(Condition{percent: 99}).text(Condition{}),
		Figure: r.measure(s.figure).value,
	}
	step.Reasons = r.breaks(hold)
	switch short := r.Tool.Short(); {
	case short && step.Reasons != "":
		step.Outcome, step.Reasons = stepShort, r.Tool.Shortage[0]
	case step.Reasons != "":
		step.Outcome = stepFailed
	case short:
		step.Reasons = "although the tool was short of CPU"
	}
	s.Steps = append(s.Steps, step)
	if step.Outcome == stepHeld && step.Rate > s.Found || s.Found == 0 {
		s.Best = r
	}
	return step.Outcome
}

// breaks names the condition that does not hold; "" if all hold.
func (r *Report) breaks(hold []Condition) string {
	judgesErrors := false
	for _, c := range hold {
		judgesErrors = judgesErrors || c.measure == measureErrors && c.what == ""
		m := r.measure(c)
		if met, sure := m.meets(c); !m.known || !met || !sure {
			return fmt.Sprintf("%s: %s", c, m.text(c))
		}
	}
	if outcomes := r.Totals.OperationOutcomes; r.Totals.Errors > 0 && !judgesErrors || outcomes.Done == 0 {
		return fmt.Sprintf("%d errors", r.Totals.Errors)
	}
	if due, ended := r.Loop.SecondHalfDue, r.Loop.SecondHalfEnded; float64(due) > float64(ended)+r.mayLack() {
		return fmt.Sprintf("the server fell behind: %d of %d operations due in the second half", ended, due)
	}
	return ""
}

// mayLack returns how many of the operations due in the second half may be left for later. A server that keeps up ends
// as many as are due, whatever its latency is; only the number of operations under way varies. A server that does not
// keep up is behind by more the longer it runs, so the latency that counts here is that of its fast answers.
func (r *Report) mayLack() float64 {
	underWay := r.Setup.Rate * r.measure(Condition{percent: 10}).value / 1e6
	return 1 + max(mostLacking*float64(r.Loop.SecondHalfDue), math.Sqrt(underWay))
}

// climb does the search. try does a step at a rate.
func (s *Search) climb(first float64, try func(rate float64) (string, error)) error {
	rate := first
	for {
		result, err := s.attempt(rate, try)
		switch {
		case err != nil:
			s.End = "the search ended before its result was precise"
			return err
		case result == stepShort:
			s.ToolLimit = true
			s.End = fmt.Sprintf("the tool was short of CPU at %s per second: the server may sustain more", short(rate))
			return nil
		case result == stepHeld:
			s.Found = max(s.Found, rate)
		case s.Failed == 0 || rate < s.Failed:
			s.Failed = rate
		}
		if rate = s.next(first); rate == 0 {
			return nil
		}
	}
}

// attempt tries a rate a second time if it did not hold, so that one hiccup decides nothing.
func (s *Search) attempt(rate float64, try func(rate float64) (string, error)) (result string, err error) {
	for range 2 {
		if result, err = try(rate); err != nil || result == stepHeld {
			break
		}
	}
	return result, err
}

// next returns the rate of the next step, or 0 at the end.
func (s *Search) next(first float64) float64 {
	switch {
	case len(s.Steps)+2 > searchTries:
		s.End = fmt.Sprintf("%d steps were made", len(s.Steps))
	case s.Found == 0 && s.Failed/2 >= max(minRate, first/searchSpan):
		return s.Failed / 2
	case s.Found == 0:
		s.End = fmt.Sprintf("not even %s per second was sustained", short(s.Failed))
	case s.Failed == 0 && s.Found*2 <= min(maxRate, first*searchSpan):
		return s.Found * 2
	case s.Failed == 0:
		s.End = fmt.Sprintf("the search stops at %s per second", short(s.Found))
	case s.Failed/s.Found > 1+searchPrecision:
		return math.Sqrt(s.Failed * s.Found)
	default:
		s.End = fmt.Sprintf("found, to %s %%", short(100*(s.Failed/s.Found-1)))
	}
	return 0
}
