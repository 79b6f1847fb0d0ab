package backend

import (
	"errors"
	"sync"
	"time"
)

// CircuitBreakerOptions say when sign-ins stop trying a mailbox server that fails.
type CircuitBreakerOptions struct {
	Failures int           // consecutive failures that open the circuit breaker; 0 is never
	First    time.Duration // how long it stays open at first
	Longest  time.Duration // each failed trial doubles the time, up to this
}

// CircuitBreakers keep sign-ins from waiting for mailbox servers that fail repeatedly. There is one for each server.
// An open circuit breaker refuses sign-ins at once. When its time is over, one sign-in at a time tries the server. The
// first that reaches the server closes the circuit breaker.
//
// Only what no client can cause opens a circuit breaker: the server was not reached, or did not greet. A client can
// cause a sign-in to get no answer, so that counts only if one of Portico's probes gets no answer either. Failures of
// this machine (KindLocal) never count.
//
// The circuit breakers live as long as the program. A reload may change their options. They are safe for concurrent
// use.
type CircuitBreakers struct {
	now    func() time.Time
	random func() float64      // from 0 to 1
	failed func(server string) // see OnFailure; may be nil

	mu       sync.Mutex // guards the rest
	opt      CircuitBreakerOptions
	byServer map[string]*circuitBreaker // by server; only servers that have failed
}

// circuitBreaker belongs to one server. It is open while wait is not zero.
type circuitBreaker struct {
	epoch      uint32 // grows when it opens or closes; attempts of an earlier epoch do not count
	failures   int    // consecutive
	unanswered int    // consecutive sign-ins that the server did not answer
	hung       bool   // open because sign-ins get no answer, so that a connection alone does not close it
	wait       time.Duration
	until      time.Time
	trial      uint32    // the current one; 0 = none is under way
	trials     uint32    // so far
	trialEnds  time.Time // from then on another sign-in may try, even if this trial has not ended
}

// trialTime is how long a trial keeps others from trying.
const trialTime = 5 * time.Second

// attempt permits one sign-in to try a server. The caller must pass it to leave when the sign-in ends.
type attempt struct {
	server string
	epoch  uint32
	trial  uint32 // its number if it is one; else 0
}

// NewCircuitBreakers returns circuit breakers that are all closed. random spreads the trials of several nodes.
func NewCircuitBreakers(now func() time.Time, random func() float64) *CircuitBreakers {
	return &CircuitBreakers{now: now, random: random, byServer: make(map[string]*circuitBreaker)}
}

// OnFailure sets a function that is called with the server's name when a sign-in does not reach a mailbox server or
// gets no answer from it. It must not block. Set it before the first sign-in. Clients can cause such failures.
func (b *CircuitBreakers) OnFailure(failed func(server string)) { b.failed = failed }

// Configure applies other options. Open circuit breakers stay open, unless the options switch circuit breakers off.
func (b *CircuitBreakers) Configure(o CircuitBreakerOptions) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opt = o
	if o.Failures == 0 {
		for _, br := range b.byServer {
			br.close()
		}
	}
}

var errCircuitOpen = errors.New("circuit breaker open: the mailbox server has failed too often")

// enter reports whether a sign-in may try the server.
func (b *CircuitBreakers) enter(server string) (attempt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.byServer[server]
	switch {
	case br == nil:
		return attempt{server: server}, nil
	case br.wait == 0:
		return attempt{server: server, epoch: br.epoch}, nil
	}
	now := b.now()
	if now.Before(br.until) || br.trial != 0 && now.Before(br.trialEnds) {
		return attempt{}, errCircuitOpen
	}
	br.trials++
	br.trial, br.trialEnds = br.trials, now.Add(trialTime)
	return attempt{server: server, epoch: br.epoch, trial: br.trial}, nil
}

// greeted records that an attempt has reached the server. That ends a trial, unless the circuit breaker opened because
// sign-ins got no answer.
func (b *CircuitBreakers) greeted(a attempt) {
	if a.trial == 0 {
		return // leave counts it
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if br := b.byServer[a.server]; br.epoch == a.epoch && !br.hung {
		br.close()
	}
}

// leave records how an attempt ended.
func (b *CircuitBreakers) leave(a attempt, e *Error) {
	if said := e.evidence(); b.failed != nil && (said == serverUnreached || said == serverHangs) {
		b.failed(a.server)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.byServer[a.server]
	said := e.evidence()
	if br == nil {
		if said == serverAnswers || said == nothing || b.opt.Failures == 0 {
			return
		}
		br = &circuitBreaker{}
		b.byServer[a.server] = br
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

// count records the evidence of an attempt while the circuit breaker is closed.
func (b *CircuitBreakers) count(br *circuitBreaker, said evidence) {
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

// endTrial records the end of a trial that did not close the circuit breaker. Only the current trial makes the wait
// longer.
func (b *CircuitBreakers) endTrial(br *circuitBreaker, a attempt, said evidence) {
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

// tested records the result of one of Portico's probes. No client can influence it, so a success closes the circuit
// breaker at once, and a failure confirms that the server does not answer sign-ins. signedIn says whether the
// probe tries to sign in.
func (b *CircuitBreakers) tested(server string, e *Error, signedIn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.byServer[server]
	said := e.evidence()
	if br == nil {
		if said != serverUnreached && said != serverHangs || b.opt.Failures == 0 {
			return
		}
		br = &circuitBreaker{}
		b.byServer[server] = br
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

func (b *CircuitBreakers) open(br *circuitBreaker, hung bool) {
	br.epoch++
	br.hung, br.trial = hung, 0
	br.wait = b.opt.First
	br.until = b.drawn(br.wait)
}

func (br *circuitBreaker) close() {
	if br.wait != 0 {
		br.epoch++
	}
	br.failures, br.unanswered, br.wait, br.trial, br.hung = 0, 0, 0, 0, false
}

// drawn returns a random time in the second half of a wait that begins now.
func (b *CircuitBreakers) drawn(wait time.Duration) time.Time {
	return b.now().Add(wait/2 + time.Duration(b.random()*float64(wait)/2))
}

// Open returns the servers whose circuit breaker is open.
func (b *CircuitBreakers) Open() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := make(map[string]bool)
	for server, br := range b.byServer {
		if br.wait != 0 {
			open[server] = true
		}
	}
	return open
}

// evidence is what an attempt shows about the server.
type evidence uint8

const (
	nothing evidence = iota
	serverAnswers
	serverUnreached // it refused the connection, could not be reached, or did not greet
	serverHangs     // it greeted, but did not answer the sign-in
)

// evidence returns what an error shows about the server; nil is a success. An answer to a credential shows only that
// the server answers, because a client may choose a credential that fails.
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
	case e.Kind == KindBye: // it answers, and may have reached a limit of connections
		return nothing
	case e.unresolved():
		return nothing
	}
	return serverUnreached
}
