package bench

import (
	"testing"
	"time"
)

// TestScheduleOfTimes gives up, in order, what is too old, and has nothing due behind the last time.
func TestScheduleOfTimes(t *testing.T) {
	start := time.Unix(1000, 0)
	s := &schedule{times: []time.Duration{0, 10 * time.Second, 20 * time.Second, 20 * time.Second, 90 * time.Second}}
	s.start(start)
	if n := s.behind(start.Add(-1)); n != 0 {
		t.Errorf("%d are due before the start", n)
	}
	due, abandoned := s.next(time.Time{}, start, 10)
	if s.taken(); !due.Equal(start) || len(abandoned) > 0 || s.number != 1 {
		t.Errorf("due %v, %v given up, number %d", due, abandoned, s.number)
	}
	if n := s.behind(start.Add(20 * time.Second)); n != 3 {
		t.Errorf("%d are due, want 3", n)
	}
	due, abandoned = s.next(time.Time{}, start.Add(30*time.Second), 1)
	if !due.Equal(start.Add(20*time.Second)) || len(abandoned) != 2 || s.number != 3 {
		t.Errorf("due %v, %v given up, number %d", due, abandoned, s.number)
	}
	s.taken()
	if left := s.leftover(start.Add(2 * time.Minute)); len(left) != 1 || !left[0].Equal(start.Add(90*time.Second)) {
		t.Errorf("left over: %v", left)
	}
	if due, _ = s.next(time.Time{}, start.Add(time.Hour), 1); due.Before(start.Add(MaxDuration)) {
		t.Errorf("something is due at %v", due)
	}
	none := &schedule{times: []time.Duration{}}
	if none.start(start); none.nextDue.Before(start.Add(MaxDuration)) {
		t.Errorf("a session without operations has one at %v", none.nextDue)
	}
}
