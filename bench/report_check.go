package bench

import (
	"errors"
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// highestRate is the highest rate that a report may hold, per second, and far above what any tool can do.
const highestRate = 1e9

// check refuses a report that bench run or merge cannot have written: a part of it is missing, a number is impossible,
// or numbers contradict each other.
func (r *Report) check() error {
	if r == nil || r.Setup.Profile == "" || len(r.Rows) == 0 {
		return errors.New("was not written by bench run -o json")
	}
	if err := r.checkNumbers(); err != nil {
		return fmt.Errorf("is damaged: %w", err)
	}
	if err := r.checkSums(); err != nil {
		return fmt.Errorf("contradicts itself: %w", err)
	}
	return nil
}

// checkNumbers refuses numbers out of range.
func (r *Report) checkNumbers() error {
	spent := r.Spent
	if spent == nil {
		spent = &Spent{}
	}
	numbers := []struct {
		name        string
		value, most float64
	}{
		{"seconds", r.Seconds, 2 * MaxDuration.Seconds()}, {"duration", r.Setup.Duration, MaxDuration.Seconds()},
		{"rate", r.Setup.Rate, highestRate}, {"operations per second", r.Totals.OperationsPerSecond, highestRate},
		{"commands per second", r.Totals.CommandsPerSecond, highestRate}, {"CPU", spent.CPU, math.MaxInt32},
		{"CPU per command", spent.PerCommand, math.MaxInt64}, {"CPU per sign-in", spent.PerSignIn, math.MaxInt64},
		{"CPU per GB", spent.PerGB, math.MaxInt64}, {"memory", float64(spent.Memory), math.MaxInt64},
		{"memory before", float64(spent.MemoryBefore), math.MaxInt64},
		{"memory per session", spent.PssPerSession, math.MaxInt64},
		{"sessions", float64(r.Setup.Sessions), math.MaxInt32}, {"users", float64(r.Setup.Users), math.MaxInt32},
		{"sessions at the end", float64(r.Sessions.AtEnd), math.MaxInt32},
		{"most sessions", float64(r.Sessions.Most), math.MaxInt32},
	}
	for _, n := range numbers {
		if !(n.value >= 0 && n.value <= n.most) {
			return fmt.Errorf("%s %v is out of range", n.name, n.value)
		}
	}
	for _, p := range r.Series {
		if !(p.Length >= 0 && p.Length <= MaxDuration.Seconds() && math.Abs(p.At) <= 4*MaxDuration.Seconds() &&
			p.PerSecond >= 0 && p.PerSecond <= highestRate && p.Sessions >= 0) {
			return fmt.Errorf("the step of the series at %v s is out of range", p.At)
		}
	}
	return nil
}

// checkSums refuses counts that do not add up.
func (r *Report) checkSums() error {
	t := &r.Totals
	var operations Outcomes
	for _, row := range r.Rows {
		if err := row.check(); err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		if row.operation() {
			operations = operations.Plus(row.Outcomes)
		}
	}
	var errorCount uint64
	for _, e := range r.Errors {
		errorCount += e.Count
	}
	switch {
	case !t.OperationOutcomes.addUp() || t.Operations != t.OperationOutcomes.Done || operations != t.OperationOutcomes:
		return errors.New("the numbers of operations do not add up")
	case !t.CommandOutcomes.addUp() || t.Commands != t.CommandOutcomes.Done:
		return errors.New("the numbers of commands do not add up")
	case !r.isRate(t.OperationsPerSecond, t.Operations) || !r.isRate(t.CommandsPerSecond, t.Commands):
		return errors.New("the rates are not those of the numbers done")
	case errorCount != t.Errors:
		return errors.New("the numbers of errors do not add up")
	}
	return nil
}

// isRate reports whether a rate is a number done in the measured time. The rates of merged runs add up, and the
// measured time is the longest.
func (r *Report) isRate(rate float64, done uint64) bool {
	want, most := per(float64(done), r.Seconds), 1.01
	if len(r.RunIDs) > 1 {
		most = 1.01 / leastOverlap
	}
	return rate >= 0.99*want && rate <= most*want
}

func (row Row) check() error {
	o := row.Outcomes
	switch {
	case !o.addUp() || row.Count != o.All || row.Before > row.Count:
		return errors.New("its numbers do not add up")
	case count(row.Latencies.done) != o.Done+o.DoneAfterEnd,
		count(row.Latencies.waited) != o.Bad():
		return errors.New("its histograms have other numbers than its outcomes")
	case !(row.PerSecond >= 0 && row.PerSecond <= highestRate && row.Mean >= 0 && row.Mean <= math.MaxInt64):
		return errors.New("a number is out of range")
	}
	return nil
}

// count returns the number of latencies; nil is an empty histogram.
func count(h *hdrhistogram.Histogram) uint64 {
	if h == nil {
		return 0
	}
	return uint64(h.TotalCount())
}

// addUp reports whether all outcomes add up to All.
func (o Outcomes) addUp() bool {
	return o.All == o.Done+o.DoneAfterEnd+o.Refused+o.Failed+o.TimedOut+o.Unfinished+o.NeverBegun
}

// sameRun names two reports that are of the same run, by their places from 1.
func sameRun(reports []*Report) (i, j int, found bool) {
	seen := make(map[string]int)
	for at, r := range reports {
		for _, id := range r.RunIDs {
			if first, twice := seen[id]; twice {
				return first, at + 1, true
			}
			seen[id] = at + 1
		}
	}
	return 0, 0, false
}
