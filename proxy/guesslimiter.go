package proxy

import (
	"context"
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"

	"portico/backend"
)

// GuessOptions bound how many wrong credentials of clients are verified.
type GuessOptions struct {
	AtOnce    int // of one address against one user, after a quiet time; 0 for no bound
	PerMinute int // after that

	// of one address against all users that have not signed in from there lately; 0 for no bound
	AddressAtOnce    int
	AddressPerMinute int // after that
}

// Bounds of the wait for a token, and of memory.
const (
	maxGuessWait    = 15 * time.Second
	maxWaiting      = 4       // guesses that wait for a bucket, for each token that it can hold
	maxDraws        = 3       // of one guess
	maxBuckets      = 200_000 // of all addresses and users
	bucketsCompared = 8       // when one has to go
	// siteFactor is how much more than an address an IPv6 site (a /48, of 65,536 networks that count as addresses) may
	// guess.
	siteFactor = 8
)

// guessLimiter limits how fast credentials are verified, by the mailbox server or by a verifier: a sign-in counts as a
// guess until its credential has proved right. A guess takes a token from the bucket of its address and user. It also
// takes one from the bucket of its address, unless the user has signed in from there lately. So an address's guesses
// grow only with its successes. The tokens come back if the credential was right, or was not verified. A guess that
// finds no token waits a bounded time for one.
//
// Since tokens of right credentials come back, users at other addresses do not wait for an attacker's guesses. Users
// at the attacker's address who have signed in from there lately do not wait either. Safe for concurrent use.
type guessLimiter struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	mu      sync.Mutex
	keys    keyHash
	buckets map[uint64]*bucket // those that are not full
	site    *siteGuesses       // nil where there is one node; never replaced
}

// bucket has the tokens of an address and user, of an address, or of a site.
type bucket struct {
	tokens
	owner   failureKey
	waiting []*waitingGuess // in order
}

// tokenDraw is a token that a guess takes from one bucket.
type tokenDraw struct {
	key   uint64
	of    bucketKind
	rate  rate
	owner failureKey
}

// waitingGuess is a guess that waits for a token.
type waitingGuess struct {
	needs    float64 // tokens that must be there
	wake     context.CancelFunc
	admitted bool // it has got its token
}

func newGuessLimiter(
	keys keyHash, now func() time.Time, sleep func(context.Context, time.Duration) error,
) *guessLimiter {
	return &guessLimiter{keys: keys, now: now, sleep: sleep, buckets: make(map[uint64]*bucket)}
}

// credentialOwner returns the name whose password is verified: for USER*MASTER the master's.
func credentialOwner(login string) string {
	return login[strings.LastIndexByte(login, backend.MasterSeparator)+1:]
}

// bucketKind says whose tokens a bucket has.
type bucketKind uint8

const (
	userBuckets    bucketKind = iota // of an address and a user
	addressBuckets                   // of an address
	siteBuckets                      // of an IPv6 site
	numBucketKinds
)

// rate is that of the buckets of a kind; its burst is 0 for no bound.
func (o GuessOptions) rate(of bucketKind) rate {
	switch of {
	case userBuckets:
		return perMinute(o.AtOnce, o.PerMinute)
	case siteBuckets:
		return perMinute(siteFactor*o.AddressAtOnce, siteFactor*o.AddressPerMinute)
	}
	return perMinute(o.AddressAtOnce, o.AddressPerMinute)
}

// draw returns the draw from one bucket.
func (g *guessLimiter) draw(of bucketKind, owner failureKey, o GuessOptions) tokenDraw {
	return tokenDraw{g.keys.of(owner.address, owner.user), of, o.rate(of), owner}
}

// draws returns the draws of a guess at a user's credential. There is no draw for the address alone if it is apart
// (exempt, or shared by many clients), or if the user has signed in from there lately.
func (g *guessLimiter) draws(addr netip.Addr, user string, apart bool, o GuessOptions) []tokenDraw {
	all := make([]tokenDraw, 0, maxDraws)
	network := addressKey(addr)
	if user != "" && o.AtOnce > 0 {
		all = append(all, g.draw(userBuckets, failureKey{network, user}, o))
	}
	if apart || o.AddressAtOnce == 0 {
		return all
	}
	all = append(all, g.draw(addressBuckets, failureKey{address: network}, o))
	if addr = addr.Unmap(); addr.Is6() {
		site, _ := addr.WithZone("").Prefix(48)
		all = append(all, g.draw(siteBuckets, failureKey{address: site}, o))
	}
	return all
}

func perMinute(burst, n int) rate { return rate{float64(burst), float64(n) / 60} }

// tryTake makes all draws, or none and returns false: then the guess must wait.
func (g *guessLimiter) tryTake(all []tokenDraw) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	var from [maxDraws]*bucket
	keep := 0.0
	for i, c := range all {
		b := g.bucket(c)
		if b.left < 1+keep*c.rate.burst {
			return false
		}
		from[i], keep = b, kept(b.left-1, b)
	}
	for _, b := range from[:len(all)] {
		b.left--
	}
	return true
}

// kept is the share of an address's tokens that a guess must leave to others. A third is reserved for users with few
// wrong guesses. left is what remains in the guess's own bucket.
func kept(left float64, own *bucket) float64 {
	if left < 0.8*own.rate.burst {
		return 1.0 / 3
	}
	return 0
}

// take makes all draws, and waits for tokens until ctx ends. It returns OutcomeTooManyGuesses if the waits would take
// longer than maxGuessWait in total.
func (g *guessLimiter) take(ctx context.Context, all []tokenDraw) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	keep, left := 0.0, maxGuessWait
	for i, c := range all {
		b := g.bucket(c)
		if err := g.wait(ctx, b, 1+keep*c.rate.burst, &left); err != nil {
			g.returnTokens(all[:i])
			return err
		}
		keep = kept(b.left, b)
	}
	return nil
}

// wait waits for a token for as long as is left, and takes it. The mutex is free meanwhile.
func (g *guessLimiter) wait(ctx context.Context, b *bucket, needs float64, left *time.Duration) error {
	switch {
	case b.left >= needs:
		b.left--
		return nil
	case len(b.waiting) >= maxWaiting*int(b.rate.burst):
		return OutcomeTooManyGuesses
	}
	woken, wake := context.WithCancel(ctx)
	defer wake()
	w := &waitingGuess{needs: needs, wake: wake}
	b.waiting = append(b.waiting, w)
	for !w.admitted {
		if ctx.Err() != nil || *left <= 0 {
			b.forget(w)
			if *left <= 0 {
				return OutcomeTooManyGuesses
			}
			return context.Cause(ctx)
		}
		d := min(b.next(), *left)
		*left -= d
		g.mu.Unlock()
		g.sleep(woken, d)
		g.mu.Lock()
		b.refill(g.now())
		b.admit()
	}
	return nil
}

// giveBack undoes take.
func (g *guessLimiter) giveBack(all []tokenDraw) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.returnTokens(all)
}

func (g *guessLimiter) returnTokens(all []tokenDraw) {
	for _, c := range all {
		b := g.buckets[c.key]
		if b == nil {
			continue
		}
		b.refill(g.now())
		b.put()
		b.admit()
		if b.isFull(g.now()) && len(b.waiting) == 0 {
			delete(g.buckets, c.key)
		}
	}
}

// bucket returns the bucket of a draw, refilled. Whoever still waits for it needs more tokens than it has.
func (g *guessLimiter) bucket(c tokenDraw) *bucket {
	b := g.buckets[c.key]
	if b == nil {
		g.makeRoom()
		b = &bucket{tokens: full(c.rate, g.now())}
		g.buckets[c.key] = b
	}
	if b.owner == (failureKey{}) { // another node may have made it necessary, and does not say whose it is
		b.owner = failureKey{c.owner.address, ShownName(c.owner.user)}
	}
	b.rate = c.rate
	b.refill(g.now())
	b.admit()
	return b
}

// makeRoom drops a bucket if there are too many: it compares some, and drops the fullest. An attacker who wants an
// empty bucket dropped must fill memory with emptier ones, and each of those costs a guess.
func (g *guessLimiter) makeRoom() {
	if len(g.buckets) < maxBuckets {
		return
	}
	var drop uint64
	fullest, compared := -1.0, 0
	for key, b := range g.buckets {
		if compared++; compared > bucketsCompared && fullest >= 0 {
			break
		}
		if b.refill(g.now()); len(b.waiting) == 0 && b.left > fullest {
			drop, fullest = key, b.left
		}
	}
	delete(g.buckets, drop)
}

// next is how long it takes until there is one token more.
func (b *bucket) next() time.Duration {
	seconds := (1 - b.left + math.Floor(b.left)) / max(b.rate.perSecond, 1e-6)
	return max(time.Duration(min(seconds, maxGuessWait.Seconds())*float64(time.Second)), 50*time.Millisecond)
}

// admit gives tokens to those who wait, in order.
func (b *bucket) admit() {
	for i := 0; i < len(b.waiting) && b.left >= 1; {
		w := b.waiting[i]
		if b.left < w.needs {
			i++
			continue
		}
		b.left--
		w.admitted = true
		w.wake()
		b.forget(w)
	}
}

// forget takes out one who waits.
func (b *bucket) forget(w *waitingGuess) {
	for i, other := range b.waiting {
		if other == w {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return
		}
	}
}
