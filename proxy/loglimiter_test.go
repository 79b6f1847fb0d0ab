package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
)

// Who opens connections beyond a limit must not fill the log.
func TestAWarningOfAnOutcomeComesOnceAMinute(t *testing.T) {
	var w warningLimiter
	now := time.Unix(1000, 0)
	for _, step := range []struct {
		after   time.Duration
		outcome Outcome
		want    bool
	}{
		{0, OutcomeLimitAddress, true}, {time.Second, OutcomeLimitAddress, false}, {0, OutcomeLimitTotal, true},
		{58 * time.Second, OutcomeLimitAddress, false}, {time.Second, OutcomeLimitAddress, true},
		{0, OutcomeLimitAddress, false},
	} {
		now = now.Add(step.after)
		if _, got := w.Due(step.outcome, now); got != step.want {
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

// A warning says how many like it there were since the last one.
func TestAWarningCountsWhatWasLeftOut(t *testing.T) {
	var w warningLimiter
	var log testkit.Log
	now := time.Unix(1000, 0)
	for _, after := range []time.Duration{0, 1, 1, 1, logPause} {
		now = now.Add(after)
		event, limited := w.event(zerolog.New(&log).Level(zerolog.InfoLevel), OutcomeLimitTotal, now)
		if event.Msg("x"); limited != (after != 1) {
			t.Errorf("after %v: bounded as a warning: %v", after, limited)
		}
	}
	if want := `{"level":"warn","message":"x"}` + "\n" + `{"level":"warn","left_out":3,"message":"x"}` +
		"\n"; log.String() != want {
		t.Errorf("log is %s", log.String())
	}
}
