package backend

import (
	"errors"
	"maps"
	"sync"
	"time"
)

// BreakerOptions say when a mailbox server is left alone.
type BreakerOptions struct {
	Failures int           // in a row that open the breaker; 0 is never
	First    time.Duration // how long it is open then
	Longest  time.Duration // each failed trial doubles that up to here
}

// Breakers keep sign-ins from waiting for mailbox servers that have failed again and again. An open breaker refuses at once; when its
// time is over, one sign-in at a time tries, and the first that the server answers closes it. What counts is that the server answers,
// not what. Breakers live as long as the program; a reload may change their options. They are safe for concurrent use.
type Breakers struct {
	now    func() time.Time
	random func() float64 // from 0 to 1

	mu  sync.Mutex // guards the rest
	opt BreakerOptions
	of  map[string]*breaker // by server, those that have failed
}

// breaker is one server's. It is open while wait is not zero.
type breaker struct {
	failures int // in a row
	wait     time.Duration
	until    time.Time
	trying   bool
}

// NewBreakers returns breakers that are all closed. random spreads the trials of many nodes.
func NewBreakers(now func() time.Time, random func() float64) *Breakers {
	return &Breakers{now: now, random: random, of: make(map[string]*breaker)}
}

// Configure puts other options in force. Breakers that are open stay so, unless there are to be none.
func (b *Breakers) Configure(o BreakerOptions) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opt = o
	if o.Failures == 0 {
		clear(b.of)
	}
}

var errBreakerOpen = errors.New("it has failed again and again, and is left alone for a while")

// enter says whether a sign-in may turn to the server. If so, leave has to be called when it knows whether the server answers.
func (b *Breakers) enter(server string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.of[server]
	switch {
	case br == nil || br.wait == 0:
		return nil
	case br.trying || b.now().Before(br.until):
		return errBreakerOpen
	}
	br.trying = true
	return nil
}

// leave notes how it went.
func (b *Breakers) leave(server string, e *Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.of[server]
	switch {
	case b.opt.Failures == 0:
		return
	case e != nil && (e.Kind == KindCancelled || e.Kind == KindClient): // nothing is known of the server
		if br != nil {
			br.trying = false
		}
		return
	case e == nil || !e.silent():
		delete(b.of, server)
		return
	case br == nil:
		br = &breaker{}
		b.of[server] = br
	}
	br.failures++
	switch {
	case br.trying:
		br.wait = min(2*br.wait, b.opt.Longest)
	case br.wait != 0: // began before it opened
		return
	case br.failures < b.opt.Failures:
		return
	default:
		br.wait = b.opt.First
	}
	br.trying = false
	br.until = b.now().Add(br.wait/2 + time.Duration(b.random()*float64(br.wait)/2))
}

// silent says whether the server is at fault, whoever signs in: it was not reached, or did not answer. What it does with a credential
// is not: a client may have chosen that to make it hang up.
func (e *Error) silent() bool { return e.Phase != PhaseSignIn || e.Kind == KindTimeout }

// Open tells which servers' breakers are open.
func (b *Breakers) Open() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := make(map[string]bool)
	for server, br := range maps.All(b.of) {
		if br.wait != 0 {
			open[server] = true
		}
	}
	return open
}
