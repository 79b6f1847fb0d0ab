package bench

import "time"

// schedule says when a session's operations are due in an open loop: at a fixed rate, whatever the server does.
type schedule struct {
	offset   time.Duration // of the first operation
	interval time.Duration
	nextDue  time.Time
	began    time.Time // what the latency of the operation under way counts from
	idle     bool      // the session was waiting when the next operation became due
}

func (s *schedule) start(at time.Time) { s.nextDue = at.Add(s.offset) }

// behind returns how many operations are due.
func (s *schedule) behind(now time.Time) int { return behind(now.Sub(s.nextDue), s.interval) }

func behind(late, interval time.Duration) int {
	if late < 0 || interval == 0 {
		return 0
	}
	return int(late/interval) + 1
}

// next returns when the next operation is due. Of more than backlog that are due by until, the oldest are given up, so
// that a session that cannot keep up is not busy with the past for ever; so are those that were due before since. It
// returns when they were due.
func (s *schedule) next(since, until time.Time, backlog int) (due time.Time, abandoned []time.Time) {
	for n := s.behind(until); n > backlog || s.nextDue.Before(since); n-- {
		abandoned = append(abandoned, s.nextDue)
		s.taken()
	}
	return s.nextDue, abandoned
}

// taken moves on to the operation after the next.
func (s *schedule) taken() { s.nextDue = s.nextDue.Add(s.interval) }

// leftover returns when each operation was due that was never begun.
func (s *schedule) leftover(now time.Time) []time.Time {
	var due []time.Time
	for ; !s.nextDue.IsZero() && now.After(s.nextDue); s.taken() {
		due = append(due, s.nextDue)
	}
	return due
}
