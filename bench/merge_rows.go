package bench

import (
	"math"
	"slices"
	"time"
)

// mergedRows adds the rows of each name, in the order of a report.
func mergedRows(reports []*Report) []Row {
	var all []Row
	for _, r := range rowOrder() {
		var sum Row
		var latencies Latencies
		for _, report := range reports {
			for _, row := range report.Rows {
				if row.Name != r.String() {
					continue
				}
				sum.Name, sum.Command = row.Name, row.Command
				sum.Count, sum.Before, sum.Errors = sum.Count+row.Count, sum.Before+row.Before, sum.Errors+row.Errors
				sum.PerSecond += row.PerSecond
				sum.Outcomes = sum.Outcomes.Plus(row.Outcomes)
				latencies.done = merged(latencies.done, row.Latencies.done)
				latencies.waited = merged(latencies.waited, row.Latencies.waited)
			}
		}
		if sum.Name != "" {
			sum.describe(latencies)
			all = append(all, sum)
		}
	}
	return all
}

// mergedErrors adds the errors of each kind and keeps the first examples.
func mergedErrors(reports []*Report) []ErrorCount {
	all := []ErrorCount{}
	for kind := range numKinds {
		sum := ErrorCount{Kind: kind.String()}
		for _, r := range reports {
			for _, e := range r.Errors {
				if e.Kind == sum.Kind {
					sum.Count += e.Count
					sum.Samples = append(sum.Samples, e.Samples...)
				}
			}
		}
		if sum.Samples = sum.Samples[:min(len(sum.Samples), maxSamples)]; sum.Count > 0 {
			all = append(all, sum)
		}
	}
	return all
}

// mergedSpent adds the CPU time of the processes under load. Costs per command count the commands of all machines.
func (r *Report) mergedSpent(reports []*Report) *Spent {
	var s *Spent
	for _, report := range reports {
		if report.Spent == nil {
			continue
		}
		if s == nil {
			s = &Spent{}
		}
		s.CPU, s.User, s.System = s.CPU+report.Spent.CPU, s.User+report.Spent.User, s.System+report.Spent.System
		s.Memory, s.MemoryBefore = s.Memory+report.Spent.Memory, s.MemoryBefore+report.Spent.MemoryBefore
		s.Problem += report.Spent.Problem
	}
	if s == nil {
		return nil
	}
	s.PerCommand = per(s.CPU*1e6, float64(r.Totals.Commands))
	s.PerGB = per(s.CPU, float64(r.Totals.In+r.Totals.Out)/1e9)
	for _, row := range r.Rows {
		if row.Name == rowSignIn.String() {
			s.PerSignIn = per(s.CPU*1e6, row.PerSecond*r.Seconds)
		}
	}
	s.PssPerSession = max(0, per(float64(s.Memory-s.MemoryBefore), float64(r.Sessions.AtEnd)))
	return s
}

// mergedSeries aligns the steps of all machines on one grid of time, which begins with the measured time. It adds
// rates and counts. Of latencies it keeps the greatest, because points have no histograms.
func mergedSeries(reports []*Report, from time.Time) []Point {
	step := 0.0
	for _, r := range reports {
		for _, p := range r.Series {
			step = max(step, p.Length)
		}
	}
	if step == 0 {
		return nil
	}
	grid := make(map[int]*Point)
	var order []int
	for _, r := range reports {
		shift := r.MeasuredFrom.Sub(from).Seconds()
		// of this machine in each step: what is a state and not a count is that of its last point there
		last := make(map[int]Point)
		for _, p := range r.Series {
			slot := int(math.Floor((p.At - p.Length/2 + shift) / step))
			sum := grid[slot]
			if sum == nil {
				sum = &Point{At: float64(slot+1) * step, Length: step}
				grid[slot] = sum
				order = append(order, slot)
			}
			sum.PerSecond += p.PerSecond * p.Length / step
			sum.P50, sum.P99, sum.Max = max(sum.P50, p.P50), max(sum.P99, p.P99), max(sum.Max, p.Max)
			sum.Errors, sum.In, sum.Out = sum.Errors+p.Errors, sum.In+p.In, sum.Out+p.Out
			sum.Behind += p.Behind - last[slot].Behind
			sum.Sessions += p.Sessions - last[slot].Sessions
			last[slot] = p
		}
	}
	slices.Sort(order)
	series := make([]Point, 0, len(order))
	for _, slot := range order {
		series = append(series, *grid[slot])
	}
	return series
}
