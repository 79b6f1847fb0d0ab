package recovery

import (
	"strings"
	"testing"
	"time"
)

// A throttled action says when it is allowed again: when the oldest attempt that counts leaves the window, or the time
// between two is over.
func TestThrottleSaysWhenItIsAllowedAgain(t *testing.T) {
	now := time.Date(2026, 7, 1, 3, 0, 0, 0, time.UTC)
	var records []Record
	for _, ago := range []time.Duration{23 * time.Hour, 50 * time.Minute, 20 * time.Minute} {
		records = append(records, Record{ID: "ServerFailover", Resource: "mbx1", Result: ResultSucceeded,
			Start: now.Add(-ago)})
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
	if v := (Throttle{InAnHour: 3, InADay: 4, GroupInADay: -1}).judge(records, "ServerFailover", "mbx1",
		now); v.reason != "" {
		t.Errorf("allowed: %+v", v)
	}
}

// Only attempts count: of the same action, of the last day or hour, and locally those on the same resource.
func TestWhatCountsForThrottling(t *testing.T) {
	now := time.Date(2026, 7, 1, 3, 0, 0, 0, time.UTC)
	none := Throttle{InAnHour: -1, InADay: -1, GroupInADay: -1}
	inAnHour, inADay, onAll, between, betweenAll := none, none, none, none, none
	inAnHour.InAnHour, inADay.InADay, onAll.GroupInADay = 1, 1, 1
	between.Between, betweenAll.GroupBetween = time.Hour, time.Hour
	limits := []struct {
		name     string
		throttle Throttle
	}{{"hour", inAnHour}, {"day", inADay}, {"all", onAll}, {"between", between}, {"between-all", betweenAll}}
	const most = "hour day all between between-all"
	for _, test := range []struct {
		id, resource string
		result       Result
		ago          time.Duration
		want         string // the limits that forbid another attempt
	}{
		{"ServerFailover", "mbx1", ResultSucceeded, 0, most},
		{"ServerFailover", "mbx1", ResultFailed, time.Minute, most},
		{"ServerFailover", "mbx1", ResultInterrupted, time.Minute, most},
		{"ServerFailover", "mbx1", ResultDryRun, time.Minute, most},
		{"ServerFailover", "mbx1", "", time.Minute, most}, // it is being done
		{"ServerFailover", "mbx1", ResultSkipped, time.Minute, ""},
		{"ServerFailover", "mbx1", ResultThrottled, time.Minute, ""},
		{"ServerFailover", "mbx2", ResultSucceeded, time.Minute, "all between-all"},
		{"ForceReboot", "mbx1", ResultSucceeded, time.Minute, ""},
		{"ServerFailover", "mbx1", ResultSucceeded, time.Hour - 1, most},
		{"ServerFailover", "mbx1", ResultSucceeded, time.Hour, "day all"},
		{"ServerFailover", "mbx1", ResultSucceeded, 24*time.Hour - 1, "day all"},
		{"ServerFailover", "mbx1", ResultSucceeded, 24 * time.Hour, ""},
	} {
		records := []Record{{ID: test.id, Resource: test.resource, Result: test.result, Start: now.Add(-test.ago)}}
		var got []string
		for _, limit := range limits {
			v := limit.throttle.judge(records, "ServerFailover", "mbx1", now)
			if v.reason != "" {
				got = append(got, limit.name)
			}
			soon := limit.throttle.Between+limit.throttle.GroupBetween > 0
			if v.reason != "" && v.until.IsZero() == soon {
				t.Errorf("%+v, %s: until %v", test, limit.name, v.until)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: forbidden by %q", test, got)
		}
		if v := none.judge(records, "ServerFailover", "mbx1", now); v != (verdict{}) {
			t.Errorf("%+v without a limit: %+v", test, v)
		}
	}
	want := "LocalMinimumMinutesBetweenAttempts=1.5 LocalMaximumAllowedAttemptsInOneHour=2 " +
		"LocalMaximumAllowedAttemptsInADay=3 GroupMinimumMinutesBetweenAttempts=4 GroupMaximumAllowedAttemptsInADay=5"
	if got := (Throttle{90 * time.Second, 2, 3, 4 * time.Minute, 5}).String(); got != want {
		t.Errorf("parameters are\n%s, want\n%s", got, want)
	}
}
