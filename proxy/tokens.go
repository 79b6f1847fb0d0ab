package proxy

import "time"

// rate is the highest number of tokens, and how many come back each second.
type rate struct{ burst, perSecond float64 }

// tokens is a token bucket. Its owner decides what a token allows, and guards it against concurrent use.
type tokens struct {
	left      float64
	updatedAt time.Time // when left was right
	rate      rate
}

// full returns a full bucket.
func full(r rate, now time.Time) tokens { return tokens{left: r.burst, updatedAt: now, rate: r} }

// refill adds the tokens that have come back since the last call.
func (t *tokens) refill(now time.Time) {
	if d := now.Sub(t.updatedAt); d > 0 {
		t.left = min(t.left+d.Seconds()*t.rate.perSecond, t.rate.burst)
	}
	t.updatedAt = now
}

// put gives one token back.
func (t *tokens) put() { t.left = min(t.left+1, t.rate.burst) }

// isFull says whether all tokens have come back, so that the owner may drop the bucket.
func (t tokens) isFull(now time.Time) bool {
	t.refill(now)
	return t.left >= t.rate.burst
}
