package bench

import (
	"slices"
	"time"
)

// schedule holds the times at which a session's operations are due in an open loop: at a fixed rate, or at given
// times. They do not depend on the server.
type schedule struct {
	offset   time.Duration // of the first operation
	interval time.Duration
	times    []time.Duration // since started, in order; nil for a fixed rate
	started  time.Time
	number   int // of operations that were taken or given up
	nextDue  time.Time
	began    time.Time // what the latency of the operation under way counts from
	idle     bool      // the session was waiting when the next operation became due
}

// never is after the end of any run.
const never = 10 * MaxDuration

func (s *schedule) start(at time.Time) {
	s.started = at
	if s.times != nil {
		s.nextDue = at.Add(s.timeOf(0))
		return
	}
	s.nextDue = at.Add(s.offset)
}

// timeOf returns when an operation with a given time is due.
func (s *schedule) timeOf(number int) time.Duration {
	if number >= len(s.times) {
		return never
	}
	return s.times[number]
}

// behind returns how many operations are due.
func (s *schedule) behind(now time.Time) int {
	if s.times == nil {
		return behind(now.Sub(s.nextDue), s.interval)
	}
	due, _ := slices.BinarySearch(s.times, now.Sub(s.started)+1)
	return max(due-s.number, 0)
}

func behind(late, interval time.Duration) int {
	if late < 0 || interval == 0 {
		return 0
	}
	return int(late/interval) + 1
}

// dueUntil returns how many operations are due before a time that counts from the start of the schedule.
func (s *schedule) dueUntil(at time.Duration) int {
	if s.times == nil {
		return behind(at-s.offset-1, s.interval)
	}
	due, _ := slices.BinarySearch(s.times, at)
	return due
}

// next returns when the next operation is due. If more than backlog operations are due by until, it drops the oldest,
// so that a session that cannot keep up does not stay busy with the past. It also drops those that were due before
// since. It returns the times of dropped operations.
func (s *schedule) next(since, until time.Time, backlog int) (due time.Time, abandoned []time.Time) {
	for n := s.behind(until); n > backlog || s.nextDue.Before(since); n-- {
		abandoned = append(abandoned, s.nextDue)
		s.taken()
	}
	return s.nextDue, abandoned
}

// taken moves on to the operation after the next.
func (s *schedule) taken() {
	s.number++
	if s.times != nil {
		s.nextDue = s.started.Add(s.timeOf(s.number))
		return
	}
	s.nextDue = s.nextDue.Add(s.interval)
}

// leftover returns the times of operations that were due and never begun.
func (s *schedule) leftover(now time.Time) []time.Time {
	var due []time.Time
	for ; !s.nextDue.IsZero() && now.After(s.nextDue); s.taken() {
		due = append(due, s.nextDue)
	}
	return due
}
