package proxy

import "time"

// rate is how many tokens full tokens are, and how many come back each second.
type rate struct{ burst, perSecond float64 }

// tokens are what is left of a burst, and fill up again with time. What each token allows, its owner says. The owner
// guards them.
type tokens struct {
	left      float64
	updatedAt time.Time // when left was right
	rate      rate
}

// full returns a whole burst.
func full(r rate, now time.Time) tokens { return tokens{left: r.burst, updatedAt: now, rate: r} }

// refill adds what time has brought.
func (t *tokens) refill(now time.Time) {
	if d := now.Sub(t.updatedAt); d > 0 {
		t.left = min(t.left+d.Seconds()*t.rate.perSecond, t.rate.burst)
	}
	t.updatedAt = now
}

// put gives one back.
func (t *tokens) put() { t.left = min(t.left+1, t.rate.burst) }

// isFull says whether all have come back, so that their owner may forget them.
func (t tokens) isFull(now time.Time) bool {
	t.refill(now)
	return t.left >= t.rate.burst
}
