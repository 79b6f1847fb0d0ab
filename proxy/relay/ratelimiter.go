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

// bucket has the tokens of one user.
type bucket struct {
	tokens    float64
	updatedAt int64 // when tokens was computed
}

// set changes the rate (0: no limit) and the size of the buckets, and fills them.
func (r *rateLimiter) set(perSecond, burst int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.perSecond, r.burst = float64(perSecond), float64(max(burst, 1))
	r.users = make(map[string]*bucket)
}

// draw takes up to want tokens from a user's bucket, and returns how many it got.
func (r *rateLimiter) draw(user string, want int, now int64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.users[user]
	if b == nil {
		b = &bucket{tokens: r.burst, updatedAt: now}
		r.users[user] = b
	}
	b.tokens = min(r.burst, b.tokens+r.perSecond*time.Duration(now-b.updatedAt).Seconds())
	b.updatedAt = now
	taken := min(want, int(b.tokens))
	b.tokens -= float64(taken)
	return taken
}

// forget drops the buckets that are full again by now.
func (r *rateLimiter) forget(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for user, b := range r.users {
		if b.tokens+r.perSecond*time.Duration(now-b.updatedAt).Seconds() >= r.burst {
			delete(r.users, user)
		}
	}
}
