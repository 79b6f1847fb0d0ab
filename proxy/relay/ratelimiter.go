package relay

import (
	"sync"
	"time"
)

// rateLimiter limits how many commands each user may send. Each user has a bucket of tokens. All loops draw from it,
// several tokens at a time, so that few commands take its lock. It is safe for concurrent use.
type rateLimiter struct {
	mu        sync.Mutex
	perSecond float64
	burst     float64
	users     map[string]*bucket
}

// bucket is one user's.
type bucket struct {
	tokens float64
	at     int64 // when that was so
}

// set changes the rate, 0 for no limit, and the size of the buckets. They are full again.
func (a *rateLimiter) set(perSecond, burst int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.perSecond, a.burst = float64(perSecond), float64(max(burst, 1))
	a.users = make(map[string]*bucket)
}

// draw takes as many tokens as there are, up to want.
func (a *rateLimiter) draw(user string, want int, now int64) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.users[user]
	if b == nil {
		b = &bucket{tokens: a.burst, at: now}
		a.users[user] = b
	}
	b.tokens = min(a.burst, b.tokens+a.perSecond*time.Duration(now-b.at).Seconds())
	b.at = now
	taken := min(want, int(b.tokens))
	b.tokens -= float64(taken)
	return taken
}

// forget drops the buckets that are full again by now.
func (a *rateLimiter) forget(now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for user, b := range a.users {
		if b.tokens+a.perSecond*time.Duration(now-b.at).Seconds() >= a.burst {
			delete(a.users, user)
		}
	}
}
