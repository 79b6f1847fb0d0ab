package health

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// What waits for a sink is told once, as it was said last: an alert that was never told is not told as if it had been.
// Its end is told beside it, and each notice.
func TestQueueOfASink(t *testing.T) {
	began := time.Unix(1e9, 0)
	c := newSender(nil, EscalatorOptions{})
	for _, a := range []Alert{
		{Cause: "a", Error: "first"}, {Cause: "a", Error: "last", Again: true}, {Cause: "b"},
		{Cause: "a", Ended: began},
		{Cause: "n", Notice: true}, {Cause: "n", Notice: true},
	} {
		c.put(a)
	}
	var got []string
	for a, ok := c.take(); ok; a, ok = c.take() {
		if a.Again {
			t.Errorf("%s was never told, but is told again", a.Cause)
		}
		text := a.Cause + a.Error
		if !a.Ended.IsZero() {
			text += "-"
		}
		got = append(got, text)
	}
	if !slices.Equal(got, []string{"alast", "b", "a-", "n", "n"}) {
		t.Errorf("told %q", got)
	}
	for range maxQueue + 1 {
		c.put(Alert{Cause: "n", Notice: true})
	}
	if n := c.waiting(); n != maxQueue {
		t.Errorf("%d wait", n)
	}
}

// An alert that lasts is told again each two minutes.
func TestToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeMonitors()
		var at []time.Duration
		var first time.Time
		sink := SinkFunc(func(_ context.Context, a Alert) error {
			if first.IsZero() {
				first = time.Now()
			}
			if at = append(at, time.Since(first)); a.Again != (len(at) > 1) {
				t.Errorf("told %d times, again: %v", len(at), a.Again)
			}
			return nil
		})
		e, err := NewEscalator(t.Context(), EscalatorOptions{Common: 34, Monitors: f.get, Sinks: []Sink{sink}})
		if err != nil {
			t.Fatal(err)
		}
		stop := runs(t, e)
		f.set(Unhealthy, Networking, "mbx1", "SelfTestMonitor/mbx1")
		time.Sleep(8 * time.Minute)
		stop()
		if !slices.Equal(at, []time.Duration{0, resendEach, 2 * resendEach, 3 * resendEach}) {
			t.Errorf("told after %v", at)
		}
	})
}
