package recovery

import (
	"testing"
	"time"
)

// A throttled action says when it is allowed again: when the oldest attempt that counts leaves the window, or the time between two is over.
func TestThrottleSaysWhenItIsAllowedAgain(t *testing.T) {
	now := time.Date(2026, 7, 1, 3, 0, 0, 0, time.UTC)
	var records []Record
	for _, ago := range []time.Duration{23 * time.Hour, 50 * time.Minute, 20 * time.Minute} {
		records = append(records, Record{ID: "ServerFailover", Resource: "mbx1", Result: ResultSucceeded, Start: now.Add(-ago)})
	}
	for _, c := range []struct {
		throttle Throttle
		want     time.Duration // from now; 0 for never
	}{
		{Throttle{Between: time.Hour, InAnHour: -1, InADay: -1, GroupInADay: -1}, 40 * time.Minute},
		{Throttle{GroupBetween: time.Hour, InAnHour: -1, InADay: -1, GroupInADay: -1}, 40 * time.Minute},
		{Throttle{InAnHour: 2, InADay: -1, GroupInADay: -1}, 10 * time.Minute},
		{Throttle{InAnHour: 1, InADay: -1, GroupInADay: -1}, 40 * time.Minute},
		{Throttle{InAnHour: 2, InADay: 3, GroupInADay: -1}, time.Hour},
		{Throttle{InAnHour: -1, InADay: -1, GroupInADay: 1}, 23*time.Hour + 40*time.Minute},
		{Throttle{Between: time.Hour, InAnHour: 2, InADay: -1, GroupInADay: -1}, 40 * time.Minute},
		{Throttle{InAnHour: -1, InADay: 0, GroupInADay: -1}, 0},
	} {
		v := c.throttle.judge(records, "ServerFailover", "mbx1", now)
		want := time.Time{}
		if c.want > 0 {
			want = now.Add(c.want)
		}
		if v.reason == "" || !v.again.Equal(want) {
			t.Errorf("%v: %q, allowed again at %v, want %v", c.throttle, v.reason, v.again, want)
		}
	}
	if v := (Throttle{InAnHour: 3, InADay: 4, GroupInADay: -1}).judge(records, "ServerFailover", "mbx1", now); v.reason != "" {
		t.Errorf("allowed: %+v", v)
	}
}
