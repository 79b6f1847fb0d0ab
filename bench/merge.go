package bench

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Merge merges the reports of several load machines that did the same work at the same time. It adds histograms and
// rates, and aligns series by the machines' clocks. It refuses reports of different work or of different times. It
// judges the conditions of all reports, and further ones, on the merged report.
func Merge(reports []*Report, further []Condition) (*Report, error) {
	if len(reports) < 2 {
		return nil, errors.New("merge: needs at least two reports")
	}
	if i, j, same := sameRun(reports); same {
		return nil, fmt.Errorf("merge: reports %d and %d are of the same run", i, j)
	}
	if err := sameKindAndTime(reports); err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	first := reports[0]
	all := &Report{Started: first.Started, MeasuredFrom: first.MeasuredFrom, Setup: mergedSetup(reports)}
	for i, r := range reports {
		if r.MeasuredFrom.Before(all.MeasuredFrom) {
			all.Started, all.MeasuredFrom = r.Started, r.MeasuredFrom
		}
		all.Seconds = max(all.Seconds, r.Seconds)
		all.EndedEarly = all.EndedEarly || r.EndedEarly
		all.Totals.add(&r.Totals)
		all.Sessions.Most += r.Sessions.Most
		all.Sessions.AtEnd += r.Sessions.AtEnd
		all.Sessions.Reconnects += r.Sessions.Reconnects
		all.Loop.MostBehind += r.Loop.MostBehind
		all.Loop.DelayP99 = max(all.Loop.DelayP99, r.Loop.DelayP99)
		all.Loop.DelayMax = max(all.Loop.DelayMax, r.Loop.DelayMax)
		all.Loop.SecondHalfDue += r.Loop.SecondHalfDue
		all.Loop.SecondHalfEnded += r.Loop.SecondHalfEnded
		all.WarmUp = all.WarmUp.plus(r.WarmUp)
		all.RunIDs = append(all.RunIDs, r.RunIDs...)
		all.Tool.add(&r.Tool, fmt.Sprintf("machine %d", i+1))
	}
	all.Tool.CPUs = cpusOf(reports)
	all.Rows, all.Errors, all.Series = mergedRows(reports), mergedErrors(reports), mergedSeries(reports,
		all.MeasuredFrom)
	all.Spent = all.mergedSpent(reports)
	conditions, err := conditionsOf(reports)
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	all.judge(append(conditions, further...))
	return all, nil
}

// leastOverlap is the smallest part of the measured time that all machines must share.
const leastOverlap = 0.5

func sameKindAndTime(reports []*Report) error {
	first := reports[0]
	var from, until time.Time
	for i, r := range reports {
		different := append(differences(first.Setup.kind(), r.Setup.kind()),
			differences(first.Setup.tls(), r.Setup.tls())...)
		if len(different) > 0 {
			return fmt.Errorf("report %d has another %s", i+1, strings.Join(different, "; another "))
		}
		if r.MeasuredFrom.IsZero() {
			return fmt.Errorf("report %d does not say when it was measured", i+1)
		}
		end := r.MeasuredFrom.Add(time.Duration(r.Seconds * float64(time.Second)))
		if i == 0 || r.MeasuredFrom.After(from) {
			from = r.MeasuredFrom
		}
		if i == 0 || end.Before(until) {
			until = end
		}
	}
	for i, r := range reports {
		if common := until.Sub(from).Seconds(); common < leastOverlap*r.Seconds {
			return fmt.Errorf("report %d has only %s of its %s measured seconds in common with all others: rates of "+
				"different times do not add up",
				i+1, short(max(0, common)), short(r.Seconds))
		}
	}
	return nil
}

// mergedSetup adds the settings of all machines.
func mergedSetup(reports []*Report) Setup {
	s := reports[0].Setup
	s.Targets = slices.Clone(s.Targets)
	machines := []string{s.Machine}
	for _, r := range reports[1:] {
		s.Sessions += r.Setup.Sessions
		s.Users += r.Setup.Users
		s.Rate += r.Setup.Rate
		s.Ramp = max(s.Ramp, r.Setup.Ramp)
		s.Targets = append(s.Targets, r.Setup.Targets...)
		machines = append(machines, r.Setup.Machine)
	}
	slices.Sort(s.Targets)
	s.Targets = slices.Compact(s.Targets)
	if s.Boots = bootsOf(reports); len(s.Boots) == 1 {
		s.Machine = fmt.Sprintf("%d runs on one load machine: %s", len(reports), s.Machine)
		return s
	}
	s.Machine = fmt.Sprintf("%d load machines: %s", len(reports), strings.Join(machines, "; "))
	return s
}

// boots names the machine that the tool runs on by its last start, which tells it from others. proc is /proc. It
// returns nil if the system has no such name.
func boots(proc string) []string {
	id, err := os.ReadFile(proc + "/sys/kernel/random/boot_id")
	if err != nil {
		return nil
	}
	return []string{shown(strings.TrimSpace(string(id)), credential{})}
}

// bootsOf returns the machines of all reports. It returns nil if one of them does not say which it was.
func bootsOf(reports []*Report) (all []string) {
	for _, r := range reports {
		if len(r.Setup.Boots) == 0 {
			return nil
		}
		all = append(all, r.Setup.Boots...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// cpusOf adds the CPUs of all machines, each machine once.
func cpusOf(reports []*Report) (sum int) {
	seen := make(map[string]bool)
	for _, r := range reports {
		known := len(r.Setup.Boots) > 0
		for _, boot := range r.Setup.Boots {
			known = known && seen[boot]
			seen[boot] = true
		}
		if !known {
			sum += r.Tool.CPUs
		}
	}
	return sum
}

func (t *Totals) add(o *Totals) {
	t.Commands += o.Commands
	t.CommandsPerSecond += o.CommandsPerSecond
	t.CommandOutcomes = t.CommandOutcomes.Plus(o.CommandOutcomes)
	t.Operations += o.Operations
	t.OperationsPerSecond += o.OperationsPerSecond
	t.OperationOutcomes = t.OperationOutcomes.Plus(o.OperationOutcomes)
	t.In += o.In
	t.Out += o.Out
	t.CompressedIn += o.CompressedIn
	t.CompressedOut += o.CompressedOut
	t.Errors += o.Errors
}

// plus adds two warm-ups; either may be nil.
func (w *WarmUp) plus(o *WarmUp) *WarmUp {
	if w == nil || o == nil {
		return cmp.Or(w, o)
	}
	return &WarmUp{max(w.Seconds, o.Seconds), w.Operations.Plus(o.Operations), w.Commands.Plus(o.Commands),
		w.Errors + o.Errors}
}

// add keeps the worse values of two machines, and the reasons of both.
func (t *Tool) add(o *Tool, name string) {
	t.CPU += o.CPU
	t.Waiting, t.Machine = greater(t.Waiting, o.Waiting), greater(t.Machine, o.Machine)
	t.Wait = max(t.Wait, o.Wait)
	t.LateP99, t.LateMax = max(t.LateP99, o.LateP99), max(t.LateMax, o.LateMax)
	t.Version = cmp.Or(t.Version, o.Version)
	if t.Shortage == nil {
		t.Shortage = []string{}
	}
	for _, reason := range o.Shortage {
		t.Shortage = append(t.Shortage, name+": "+reason)
	}
}

func greater(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// conditionsOf returns the conditions of all reports, without duplicates.
func conditionsOf(reports []*Report) ([]Condition, error) {
	var texts []string
	for _, r := range reports {
		for _, j := range r.Conditions {
			if !slices.Contains(texts, j.Condition) {
				texts = append(texts, j.Condition)
			}
		}
	}
	return ParseConditions(texts)
}
