package backend

import (
	"errors"
	"sync"
	"time"
)

// BreakerOptions say when a mailbox server is left alone.
type BreakerOptions struct {
	Failures int           // in a row that open the breaker; 0 is never
	First    time.Duration // how long it is open then
	Longest  time.Duration // each failed trial doubles that up to here
}

// Breakers keep sign-ins from waiting for mailbox servers that have failed again and again. An open breaker refuses at
// once. When its time is over, one sign-in at a time tries; the first that reaches the server closes the breaker.
//
// Only what no client can cause opens a breaker: the server was not reached, or did not greet. A sign-in that gets no
// answer may be its client's doing; it counts only if a probe of our own gets no answer either. Failures of our own
// (KindLocal) never count.
//
// Breakers live as long as the program; a reload may change their options. They are safe for concurrent use.
type Breakers struct {
	now    func() time.Time
	random func() float64      // from 0 to 1
	failed func(server string) // see OnFailure; may be nil

	mu  sync.Mutex // guards the rest
	opt BreakerOptions
	of  map[string]*breaker // by server, those that have failed once
}

// breaker is one server's. It is open while wait is not zero.
type breaker struct {
	epoch      uint32 // grows when it opens or closes: attempts from before say nothing
	failures   int    // in a row
	unanswered int    // sign-ins in a row that the server has not answered
	hung       bool   // it is open since sign-ins get no answer; so a connection does not close it
	wait       time.Duration
	until      time.Time
	trial      uint32    // the current one; 0 = none is under way
	trials     uint32    // so far
	trialEnds  time.Time // then another may try, whatever became of the current one
}

// trialTime is how long a trial keeps others from trying.
const trialTime = 5 * time.Second

// attempt is a sign-in's pass to a server. It has to be given back to Breakers.leave.
type attempt struct {
	server string
	epoch  uint32
	trial  uint32 // its number if it is one; else 0
}

// NewBreakers returns breakers that are all closed. random spreads the trials of many nodes.
func NewBreakers(now func() time.Time, random func() float64) *Breakers {
	return &Breakers{now: now, random: random, of: make(map[string]*breaker)}
}

// OnFailure sets a function that receives the server of each sign-in that did not reach a mailbox server, or got no
// answer from it. It must not block, and has to be set before the first sign-in. A client may cause such failures.
func (b *Breakers) OnFailure(failed func(server string)) { b.failed = failed }

// Configure puts other options in force. Breakers that are open stay so, unless there are to be none.
func (b *Breakers) Configure(o BreakerOptions) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opt = o
	if o.Failures == 0 {
		for _, br := range b.of {
			br.close()
		}
	}
}

var errBreakerOpen = errors.New("circuit breaker open: the mailbox server has failed too often")

// enter says whether a sign-in may turn to the server.
func (b *Breakers) enter(server string) (attempt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.of[server]
	switch {
	case br == nil:
		return attempt{server: server}, nil
	case br.wait == 0:
		return attempt{server: server, epoch: br.epoch}, nil
	}
	now := b.now()
	if now.Before(br.until) || br.trial != 0 && now.Before(br.trialEnds) {
		return attempt{}, errBreakerOpen
	}
	br.trials++
	br.trial, br.trialEnds = br.trials, now.Add(trialTime)
	return attempt{server: server, epoch: br.epoch, trial: br.trial}, nil
}

// greeted notes that an attempt has reached the server. A trial has nothing more to find out, unless sign-ins got no
// answer.
func (b *Breakers) greeted(a attempt) {
	if a.trial == 0 {
		return // leave counts it
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if br := b.of[a.server]; br.epoch == a.epoch && !br.hung {
		br.close()
	}
}

// leave notes how an attempt has ended.
func (b *Breakers) leave(a attempt, e *Error) {
	if said := e.evidence(); b.failed != nil && (said == serverUnreached || said == serverHangs) {
		b.failed(a.server)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.of[a.server]
	said := e.evidence()
	if br == nil {
		if said == serverAnswers || said == nothing || b.opt.Failures == 0 {
			return
		}
		br = &breaker{}
		b.of[a.server] = br
	}
	switch {
	case a.epoch != br.epoch:
	case br.wait == 0:
		b.count(br, said)
	case a.trial == 0:
	case said == serverAnswers:
		br.close()
	default:
		b.endTrial(br, a, said)
	}
}

// count takes what an attempt says of a server whose breaker is closed.
func (b *Breakers) count(br *breaker, said evidence) {
	switch said {
	case serverAnswers:
		br.failures, br.unanswered = 0, 0
	case serverHangs:
		br.failures = 0
		br.unanswered++
	case serverUnreached:
		if br.failures++; br.failures >= b.opt.Failures && b.opt.Failures > 0 {
			b.open(br, false)
		}
	}
}

// endTrial takes the end of a trial that has not closed the breaker. Only the current one makes the wait longer.
func (b *Breakers) endTrial(br *breaker, a attempt, said evidence) {
	current := a.trial == br.trial
	if current {
		br.trial = 0
	}
	if said == nothing || said == serverHangs && !br.hung {
		return
	}
	if current {
		br.wait = min(2*br.wait, b.opt.Longest)
	}
	br.until = b.drawn(br.wait)
}

// tested takes what a probe of our own has found out: no client has a part in it, so it closes a breaker at once, and
// confirms that a server does not answer sign-ins. signedIn says whether the probe was to sign in.
func (b *Breakers) tested(server string, e *Error, signedIn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.of[server]
	said := e.evidence()
	if br == nil {
		if said != serverUnreached && said != serverHangs || b.opt.Failures == 0 {
			return
		}
		br = &breaker{}
		b.of[server] = br
	}
	switch {
	case said == serverAnswers && (signedIn || !br.hung):
		br.close()
	case br.wait != 0:
	case said == serverHangs:
		br.failures++
		if b.opt.Failures > 0 && max(br.failures, br.unanswered) >= b.opt.Failures {
			b.open(br, true)
		}
	case said == serverUnreached:
		b.count(br, said)
	}
}

func (b *Breakers) open(br *breaker, hung bool) {
	br.epoch++
	br.hung, br.trial = hung, 0
	br.wait = b.opt.First
	br.until = b.drawn(br.wait)
}

func (br *breaker) close() {
	if br.wait != 0 {
		br.epoch++
	}
	br.failures, br.unanswered, br.wait, br.trial, br.hung = 0, 0, 0, 0, false
}

// drawn returns a time in the second half of a wait that begins now.
func (b *Breakers) drawn(wait time.Duration) time.Time {
	return b.now().Add(wait/2 + time.Duration(b.random()*float64(wait)/2))
}

// Open tells which servers' breakers are open.
func (b *Breakers) Open() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := make(map[string]bool)
	for server, br := range b.of {
		if br.wait != 0 {
			open[server] = true
		}
	}
	return open
}

// evidence is what an attempt says of the server.
type evidence uint8

const (
	nothing evidence = iota
	serverAnswers
	serverUnreached // it refused the connection, was not there, or did not greet
	serverHangs     // it greeted, and did not answer the sign-in
)

// evidence returns what an error says of the server; nil is a success. What a server does with a credential says only
// that it is there: a client may have chosen the credential for that.
func (e *Error) evidence() evidence {
	switch {
	case e == nil:
		return serverAnswers
	case e.Kind == KindCancelled, e.Kind == KindClient, e.Kind == KindLocal, e.Kind == KindResting:
		return nothing
	case e.Kind == KindTimeout && e.Phase == PhaseSignIn:
		return serverHangs
	case e.Phase == PhaseSignIn:
		return serverAnswers
	case e.Kind == KindBye: // it is there, and may be full of clients
		return nothing
	case e.unresolved():
		return nothing
	}
	return serverUnreached
}
