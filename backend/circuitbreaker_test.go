package backend

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func newBreakers(c *clock, random float64) *CircuitBreakers {
	b := NewCircuitBreakers(c.now, func() float64 { return random })
	b.Configure(CircuitBreakerOptions{Failures: 3, First: time.Second, Longest: 4 * time.Second})
	return b
}

var notReached = &Error{Kind: KindDial, Phase: PhaseDial}

var (
	notAnswered = &Error{Kind: KindTimeout, Phase: PhaseSignIn}
	cancelled   = &Error{Kind: KindCancelled, Phase: PhaseDial}
	refusedUser = &Error{Kind: KindBadCredential, Phase: PhaseSignIn}
)

// breakerRig is circuit breakers under test, and attempts that are under way.
type breakerRig struct {
	*testing.T
	*CircuitBreakers
	clock *clock
}

func (r *breakerRig) advance(d time.Duration) { r.clock.advance(d) }

func newBreakerRig(t *testing.T) *breakerRig {
	c := &clock{}
	return &breakerRig{t, newBreakers(c, 1), c}
}

// admits begins an attempt that must be let in.
func (r *breakerRig) admits() attempt {
	r.Helper()
	a, err := r.enter("mbx1")
	if err != nil {
		r.Fatalf("at %v: %v", r.now().UnixMilli(), err)
	}
	return a
}

func (r *breakerRig) refuses() {
	r.Helper()
	if _, err := r.enter("mbx1"); err == nil {
		r.Fatalf("at %v: let in", r.now().UnixMilli())
	}
}

// fail has attempts fail one after the other.
func (r *breakerRig) fail(n int, e *Error) {
	r.Helper()
	for range n {
		r.leave(r.admits(), e)
	}
}

func TestBreaker(t *testing.T) {
	r := newBreakerRig(t)
	r.fail(2, notReached)
	r.fail(1, refusedUser) // it answers
	r.fail(2, notReached)
	one, two := r.admits(), r.admits() // of two at once, one opens it
	r.leave(one, notReached)
	r.leave(two, notReached)
	r.refuses()
	if _, err := r.enter("mbx2"); err != nil {
		t.Errorf("another server: %v", err)
	}
	if !r.Open()["mbx1"] || r.Open()["mbx2"] {
		t.Errorf("open: %v", r.Open())
	}
	for _, wait := range []time.Duration{1, 2, 4, 4} { // seconds, doubling up to the longest
		r.advance(wait*time.Second - 1)
		r.refuses()
		r.advance(1)
		trial := r.admits()
		r.refuses() // nobody else meanwhile
		r.leave(trial, notReached)
	}
	r.advance(4 * time.Second)
	r.fail(1, cancelled) // the client has gone: the next one tries
	r.fail(1, nil)
	if r.admits(); r.Open()["mbx1"] {
		t.Error("still open")
	}
	r.fail(2, notReached) // it counts from zero
	r.admits()

	r.Configure(CircuitBreakerOptions{})
	r.fail(10, notReached)
}

// A reload that switches circuit breakers off closes the open ones. Attempts that began before it count for nothing
// after it.
func TestReloadSwitchesOffAnOpenBreaker(t *testing.T) {
	r := newBreakerRig(t)
	before := r.admits()
	r.fail(3, notReached)
	r.refuses()
	r.advance(time.Second)
	trial := r.admits()
	r.refuses()

	// With other options it stays open.
	r.Configure(CircuitBreakerOptions{Failures: 3, First: time.Minute, Longest: time.Minute})
	r.refuses()
	r.Configure(CircuitBreakerOptions{})
	if open := r.Open(); len(open) != 0 {
		t.Errorf("switched off, and open: %v", open)
	}
	r.fail(10, notReached)
	for range 10 {
		r.tested("mbx1", notAnswered, true)
	}
	r.admits()

	r.Configure(CircuitBreakerOptions{Failures: 1, First: time.Second, Longest: time.Second})
	r.leave(before, notReached)
	r.leave(trial, notReached)
	r.admits()
	r.fail(1, notReached)
	r.refuses()
}

// TestBreakerTrialsHaveAnIdentity: attempts from before neither end a trial nor make the wait longer.
func TestBreakerTrialsHaveAnIdentity(t *testing.T) {
	r := newBreakerRig(t)
	before := []attempt{r.admits(), r.admits(), r.admits()}
	r.fail(3, notReached)
	r.advance(time.Second)
	trial := r.admits()
	r.leave(before[0], cancelled)
	r.refuses()
	r.leave(before[1], notReached)
	r.refuses()
	r.leave(trial, notReached)
	r.advance(2*time.Second - 1) // doubled once
	r.refuses()
	r.advance(1)
	r.leave(before[2], nil) // an old connection answers
	if !r.Open()["mbx1"] {
		t.Error("closed by an attempt from before")
	}
	r.fail(1, nil)
	r.admits()
}

// TestBreakerForgetsAttemptsFromBeforeItClosed: they say nothing of the server as it is now.
func TestBreakerForgetsAttemptsFromBeforeItClosed(t *testing.T) {
	r := newBreakerRig(t)
	var before []attempt
	for range 5 {
		before = append(before, r.admits())
	}
	r.fail(3, notReached)
	r.tested("mbx1", nil, true)
	for _, a := range before {
		r.leave(a, notReached)
	}
	r.admits()
}

// TestBreakerTrialThatHangs lets another sign-in try when a trial's time is over, and all as soon as the server
// greets.
func TestBreakerTrialThatHangs(t *testing.T) {
	r := newBreakerRig(t)
	r.fail(3, notReached)
	r.advance(time.Second)
	hangs := r.admits()
	r.advance(trialTime - 1)
	r.refuses()
	r.advance(1)
	second := r.admits()
	r.leave(hangs, notReached) // it is not the trial any more: no doubling
	r.advance(time.Second)
	r.refuses() // the second is under way
	r.advance(trialTime - time.Second)
	r.admits() // the second hangs too
	r.refuses()
	r.greeted(second)
	if r.Open()["mbx1"] {
		t.Error("the server has greeted, and the breaker is open")
	}
	r.admits()
	r.admits()
}

// TestBreakerIsClosedByAGoodProbe at once.
func TestBreakerIsClosedByAGoodProbe(t *testing.T) {
	for name, probe := range map[string]func(*CircuitBreakers){
		"self test": func(b *CircuitBreakers) { b.tested("mbx1", nil, true) },
		"check":     func(b *CircuitBreakers) { b.tested("mbx1", nil, false) },
		"refused":   func(b *CircuitBreakers) { b.tested("mbx1", refusedUser, true) }, // it answers
	} {
		t.Run(name, func(t *testing.T) {
			r := newBreakerRig(t)
			r.fail(3, notReached)
			r.refuses()
			probe(r.CircuitBreakers)
			r.admits()
			r.admits()
		})
	}
}

// TestBreakerOfSilentSignIns opens only when a probe of our own gets no answer either, and closes when one does.
func TestBreakerOfSilentSignIns(t *testing.T) {
	r := newBreakerRig(t)
	r.fail(20, notAnswered)
	r.tested("mbx1", notAnswered, true)
	r.refuses()
	r.tested("mbx1", nil, false) // it greets, as before
	r.refuses()
	r.advance(time.Second)
	trial := r.admits()
	r.greeted(trial)
	r.refuses()
	r.leave(trial, notAnswered)
	r.advance(2*time.Second - 1)
	r.refuses()
	r.advance(1)
	r.fail(1, nil)
	r.admits()

	r.tested("mbx1", notAnswered, true)
	r.tested("mbx1", notAnswered, true)
	r.admits()
	r.tested("mbx1", notAnswered, true) // three of our own confirm each other
	r.refuses()
	r.tested("mbx1", nil, true)
	r.admits()
}

// Part of the wait is drawn, so that many nodes do not try at the same time.
func TestBreakerJitter(t *testing.T) {
	r := newBreakerRig(t)
	r.random = func() float64 { return 0 }
	r.fail(3, notReached)
	r.advance(time.Second/2 - 1)
	r.refuses()
	r.advance(1)
	r.admits()
}

// What a client, or this machine, can bring about does not open the circuit breaker.
func TestBreakerIsNotTheClients(t *testing.T) {
	for _, e := range []Error{
		{Kind: KindBadCredential, Phase: PhaseSignIn}, {Kind: KindRefused, Phase: PhaseSignIn},
		{Kind: KindClosed, Phase: PhaseSignIn},
		{Kind: KindProtocol, Phase: PhaseSignIn}, {Kind: KindBye, Phase: PhaseSignIn},
		{Kind: KindClient, Phase: PhaseSignIn},
		{Kind: KindNoMechanism, Phase: PhaseSignIn}, {Kind: KindTimeout, Phase: PhaseSignIn},
		{Kind: KindCancelled, Phase: PhaseDial},
		{Kind: KindBye, Phase: PhaseGreeting}, {Kind: KindLocal, Phase: PhaseDial},
		{Kind: KindLocal, Phase: PhaseSignIn},
		{Kind: KindDial, Phase: PhaseDial, Err: &net.DNSError{Err: "no answer"}},
	} {
		r := newBreakerRig(t)
		r.fail(20, &e)
		r.fail(2, notReached)
		r.fail(1, &e)
		r.admits()
	}
}

// What only the server, or the way to it, can bring about does.
func TestBreakerOpens(t *testing.T) {
	for _, e := range []Error{
		{Kind: KindDial, Phase: PhaseDial, Err: syscall.ECONNREFUSED}, {Kind: KindTimeout, Phase: PhaseDial},
		{Kind: KindTLS, Phase: PhaseTLS},
		{Kind: KindTimeout, Phase: PhaseTLS}, {Kind: KindGreeting, Phase: PhaseGreeting},
		{Kind: KindTimeout, Phase: PhaseGreeting},
		{Kind: KindClosed, Phase: PhaseGreeting},
	} {
		r := newBreakerRig(t)
		r.fail(3, &e)
		r.refuses()
	}
}

// One trial at a time, however many come at once.
func TestBreakerTrials(t *testing.T) {
	r := newBreakerRig(t)
	r.fail(3, notReached)
	r.advance(time.Minute)
	var tries atomic.Int32
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if _, err := r.enter("mbx1"); err == nil {
				tries.Add(1)
			}
		})
	}
	group.Wait()
	if tries.Load() != 1 {
		t.Errorf("%d trials at once", tries.Load())
	}
}

// TestProbesAreNoUsers: a probe that signs in as a user does is no evidence that the server takes users.
func TestProbesAreNoUsers(t *testing.T) {
	well := dialogue{greeting, aliceLogin, signedIn}
	tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, well, well)))
	for _, homes := range []map[string]string{{alice().User: "db1"}, nil} {
		tier.locator.homes = homes
		link, err := signInAs(t, tier, alice())
		if err != nil {
			t.Fatal(err)
		}
		link.Conn.Close()
		if got := tier.TakesUsers("mbx1"); got != (homes == nil) {
			t.Errorf("with health mailboxes %v: %t", homes, got)
		}
	}
}

// TestOwnShortageIsOurs: a dial that fails for want of something on this machine is no failure of the server.
func TestOwnShortageIsOurs(t *testing.T) {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			tier := tier(t, Timeouts{}, ServerOptions{Name: "mbx1", Addresses: []string{"127.0.0.1:1", "127.0.0.1:2"}})
			refused := true
			tier.upstream = dialing(func(context.Context, netip.Addr, string) (net.Conn, error) {
				if refused = !refused; refused { // by one of the addresses
					return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
				}
				return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", errno)}
			})
			tier.protection.circuitBreakers = newBreakers(&clock{}, 1)
			for range 10 {
				_, err := signInAs(t, tier, alice())
				wantFailure(t, err, KindLocal, PhaseDial)
				if err := tier.Check(t.Context(), "mbx1"); failure(t, err).Kind != KindLocal {
					t.Error(err)
				}
			}
			if open := tier.protection.circuitBreakers.Open(); len(open) > 0 {
				t.Errorf("open: %v", open)
			}
		})
	}
}

// TestBreakerAndProbes has the tier's own probes close a circuit breaker.
func TestBreakerAndProbes(t *testing.T) {
	testkit.NoLeaks(t)
	open := dialogue{greeting, `C: p1 LOGIN "health" "pw"`, signedIn}
	for name, test := range map[string]struct {
		dialogue dialogue
		probe    func(*Tier) error
	}{
		"check": {dialogue{greeting}, func(tier *Tier) error { return tier.Check(t.Context(), "mbx1") }},
		"open": {open, func(tier *Tier) error {
			link, err := tier.Open(t.Context(), "mbx1", OpenRequest{User: "health", Password: "pw"})
			if err == nil {
				link.Conn.Close()
			}
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, test.dialogue)))
			r := newBreakerRig(t)
			tier.protection.circuitBreakers = r.CircuitBreakers
			r.fail(3, notReached)
			r.refuses()
			if err := test.probe(tier); err != nil {
				t.Fatal(err)
			}
			r.admits()
			r.admits()
		})
	}
}

// A server whose circuit breaker is open is not called, and an interchangeable database goes on with its next copy.
func TestSignInWithBreaker(t *testing.T) {
	testkit.NoLeaks(t)
	second := fake(t, nil, dialogue{greeting, aliceLogin, signedIn}, dialogue{greeting, aliceLogin, signedIn})
	tier := tier(t, Timeouts{}, ServerOptions{Name: "mbx1", Addresses: []string{"127.0.0.1:1"}},
		ServerOptions{Name: "mbx2", Addresses: []string{second}})
	tier.protection.circuitBreakers = newBreakers(&clock{}, 1)
	tier.protection.circuitBreakers.Configure(CircuitBreakerOptions{Failures: 1, First: time.Hour, Longest: time.Hour})
	for range 2 {
		link, err := signInAs(t, tier, alice())
		if err != nil || link.Server != "mbx2" {
			t.Fatalf("%v", err)
		}
		link.Conn.Close()
	}
	route := Route{Servers: []string{"mbx1"}}
	_, err := tier.SignIn(t.Context(), route, alice())
	wantFailure(t, err, KindResting, PhaseDial)
	if !errors.Is(err, errCircuitOpen) {
		t.Error(err)
	}
}
