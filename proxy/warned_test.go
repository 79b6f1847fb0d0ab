package proxy

import (
	"strings"
	"testing"
	"time"
)

// Who opens connections beyond a limit must not fill the log.
func TestAWarningOfAnOutcomeComesOnceAMinute(t *testing.T) {
	var w warned
	now := time.Unix(1000, 0)
	for _, step := range []struct {
		after   time.Duration
		outcome Outcome
		want    bool
	}{
		{0, OutcomeLimitAddress, true}, {time.Second, OutcomeLimitAddress, false}, {0, OutcomeLimitTotal, true},
		{58 * time.Second, OutcomeLimitAddress, false}, {time.Second, OutcomeLimitAddress, true}, {0, OutcomeLimitAddress, false},
	} {
		now = now.Add(step.after)
		if got := w.due(step.outcome, now); got != step.want {
			t.Errorf("%v at %v: %v, want %v", step.outcome, now, got, step.want)
		}
	}
}

func TestConnectionsBeyondALimitWarnOnce(t *testing.T) {
	h := start(t, TLSNone, func(o *Options) { o.Settings.Limits.ConnectionsPerAddress = 1 })
	h.client()
	for range 5 {
		h.dial().expect("* BYE [LIMIT] ")
	}
	waitUntil(t, func() bool { return h.ended(OutcomeLimitAddress) == 5 })
	if n := strings.Count(h.log.String(), `"level":"warn"`); n != 1 {
		t.Errorf("%d warnings; log:\n%s", n, h.log)
	}
}
