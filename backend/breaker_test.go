package backend

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func newBreakers(c *clock, random float64) *Breakers {
	b := NewBreakers(c.now, func() float64 { return random })
	b.Configure(BreakerOptions{Failures: 3, First: time.Second, Longest: 4 * time.Second})
	return b
}

var notReached = &Error{Kind: KindDial, Phase: PhaseDial}

func TestBreaker(t *testing.T) {
	c := &clock{}
	b := newBreakers(c, 1)
	enter := func(want bool) {
		t.Helper()
		if err := b.enter("mbx1"); (err == nil) != want {
			t.Fatalf("at %v: %v", c.now().UnixMilli(), err)
		}
	}
	fail := func() { t.Helper(); enter(true); b.leave("mbx1", notReached) }

	fail()
	fail()
	enter(true)
	b.leave("mbx1", &Error{Kind: KindBadCredential, Phase: PhaseSignIn}) // it answers
	fail()
	fail()
	enter(true)
	enter(true) // two at once, of which one opens it
	b.leave("mbx1", notReached)
	b.leave("mbx1", notReached)
	enter(false)
	if err := b.enter("mbx2"); err != nil {
		t.Errorf("another server: %v", err)
	}
	if !b.Open()["mbx1"] || b.Open()["mbx2"] {
		t.Errorf("open: %v", b.Open())
	}
	for _, wait := range []time.Duration{1, 2, 4, 4} { // seconds, doubling up to the longest
		c.advance(wait*time.Second - 1)
		enter(false)
		c.advance(1)
		enter(true)  // the trial
		enter(false) // and nobody else meanwhile
		b.leave("mbx1", notReached)
	}
	c.advance(4 * time.Second)
	enter(true)
	b.leave("mbx1", &Error{Kind: KindCancelled, Phase: PhaseDial}) // the client has gone: the next one tries
	enter(true)
	b.leave("mbx1", nil)
	enter(true)
	if b.Open()["mbx1"] {
		t.Error("still open")
	}
	b.leave("mbx1", notReached) // it begins anew
	enter(true)

	b.Configure(BreakerOptions{})
	for range 10 {
		fail()
	}
}

// Part of the wait is drawn, so that many nodes do not try at the same time.
func TestBreakerJitter(t *testing.T) {
	c := &clock{}
	b := newBreakers(c, 0)
	for range 3 {
		b.enter("mbx1")
		b.leave("mbx1", notReached)
	}
	c.advance(time.Second/2 - 1)
	if b.enter("mbx1") == nil {
		t.Error("tried before half of the time")
	}
	c.advance(1)
	if b.enter("mbx1") != nil {
		t.Error("not tried after half of the time")
	}
}

// What a client can bring about does not open the breaker.
func TestBreakerIsNotTheClients(t *testing.T) {
	for _, e := range []Error{
		{Kind: KindBadCredential, Phase: PhaseSignIn}, {Kind: KindRefused, Phase: PhaseSignIn}, {Kind: KindClosed, Phase: PhaseSignIn},
		{Kind: KindProtocol, Phase: PhaseSignIn}, {Kind: KindBye, Phase: PhaseSignIn}, {Kind: KindClient, Phase: PhaseSignIn},
		{Kind: KindNoMechanism, Phase: PhaseSignIn}, {Kind: KindCancelled, Phase: PhaseDial},
	} {
		b := newBreakers(&clock{}, 1)
		for range 20 {
			if err := b.enter("mbx1"); err != nil {
				t.Fatalf("%v: %v", e.Kind, err)
			}
			b.leave("mbx1", &e)
		}
	}
}

// One trial at a time, however many come at once.
func TestBreakerTrials(t *testing.T) {
	c := &clock{}
	b := newBreakers(c, 1)
	for range 3 {
		b.enter("mbx1")
		b.leave("mbx1", notReached)
	}
	c.advance(time.Minute)
	var tries atomic.Int32
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if b.enter("mbx1") == nil {
				tries.Add(1)
			}
		})
	}
	group.Wait()
	if tries.Load() != 1 {
		t.Errorf("%d trials at once", tries.Load())
	}
}

// A server whose breaker is open is not called, and an interchangeable database goes on with its next copy.
func TestSignInWithBreaker(t *testing.T) {
	testkit.NoLeaks(t)
	second := fake(t, nil, dialogue{greeting, aliceLogin, signedIn}, dialogue{greeting, aliceLogin, signedIn})
	tier := tier(t, Timeouts{}, ServerOptions{Name: "mbx1", Addresses: []string{"127.0.0.1:1"}}, ServerOptions{Name: "mbx2", Addresses: []string{second}})
	tier.breakers = newBreakers(&clock{}, 1)
	tier.breakers.Configure(BreakerOptions{Failures: 1, First: time.Hour, Longest: time.Hour})
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
	if !errors.Is(err, errBreakerOpen) {
		t.Error(err)
	}
}
