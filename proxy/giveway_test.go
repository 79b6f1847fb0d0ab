package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"portico/backend"
	"portico/backend/directory"
	"portico/proxy/setup"
)

// passwordOf is what a credential of the harness's tier holds.
func passwordOf(q backend.SignInRequest) string { return q.Credential.Password.Reveal() }

// busy is a harness whose sign-ins wait for a paused mailbox server until goOn is closed. One waits from the
// beginning.
type busy struct {
	*harness
	peer  *peer
	goOn  chan struct{}
	begun atomic.Int32 // waits so far
}

func startBusy(t *testing.T, mode TLSMode, limits Limits) *busy {
	t.Helper()
	h := start(t, mode, func(o *Options) { o.Settings.Limits = completedLimits(limits) })
	b := &busy{harness: h, goOn: make(chan struct{})}
	b.tier.hold = func(ctx context.Context, _ directory.Query) (err error) {
		b.begun.Add(1)
		setup.Away(ctx, func(ctx context.Context) {
			select {
			case <-b.goOn:
			case <-ctx.Done():
				err = &backend.Error{Kind: backend.KindCancelled, Phase: backend.PhaseRoute, Err: context.Cause(ctx)}
			}
		})
		return err
	}
	b.peer = b.waiting("127.0.0.1")
	return b
}

// waiting connects from a loopback address, and returns a client whose sign-in waits for its mailbox server.
func (b *busy) waiting(from string) *peer {
	b.t.Helper()
	p := b.clientFrom(from)
	before := b.begun.Load()
	p.send("a LOGIN bob secret\r\n")
	waitUntil(b.t, func() bool { return b.begun.Load() > before })
	return p
}

// When all places before sign-in are taken, the client that has been silent longest gives way, whatever it waits
// in, before one whose sign-in waits.
func TestSilentLongestGivesWay(t *testing.T) {
	for _, mode := range []TLSMode{TLSNone, TLSImplicit} {
		for limits, outcome := range map[Limits]Outcome{
			{Unauthenticated: 3}:           OutcomeGaveWay,
			{UnauthenticatedPerAddress: 3}: OutcomeGaveWayAddress,
		} {
			t.Run(outcome.String(), func(t *testing.T) {
				b := startBusy(t, mode, limits)
				longest, talker := b.client(), b.client()
				talker.send("a NOOP\r\n")
				talker.expect("a OK ")
				first := b.client()
				if told := longest.rest(); told != "* BYE [UNAVAILABLE] Too many connections, try again.\r\n" {
					t.Errorf("the one silent longest is told %q", told)
				}
				talker.send("a NOOP\r\n")
				talker.expect("a OK ")
				b.client() // and first has been silent longest now
				first.expect("* BYE [UNAVAILABLE] ")
				waitUntil(t, func() bool { return b.ended(outcome) == 2 })
				close(b.goOn)
				b.peer.expect("* OK ")
				b.peer.expect("a OK ")
			})
		}
	}
}

// With every place taken by sign-ins that wait, the one that has waited longest gives way.
func TestWaitingLongestGivesWay(t *testing.T) {
	for name, limits := range map[string]Limits{"of all": {Unauthenticated: 2},
		"of an address": {UnauthenticatedPerAddress: 2}} {
		t.Run(name, func(t *testing.T) {
			b := startBusy(t, TLSNone, limits)
			second := b.waiting("127.0.0.1")
			third := b.waiting("127.0.0.1")
			if told := b.peer.rest(); told != "* BYE [UNAVAILABLE] Too many connections, try again.\r\n" {
				t.Errorf("told %q", told)
			}
			waitUntil(t, func() bool { return b.ended(OutcomeGaveWayWaiting) == 1 })
			close(b.goOn)
			for _, p := range []*peer{second, third} {
				p.expect("* OK ")
				p.expect("a OK ")
			}
		})
	}
}

// Who waits is not sent away by strangers from addresses that have more connections, whatever those do. Only where
// all have the same number does the one give way that has waited longest.
func TestWaitingGivesWayWhereMostAre(t *testing.T) {
	b := startBusy(t, TLSNone, Limits{Unauthenticated: 6, UnauthenticatedPerAddress: 100})
	for i := range 20 {
		if from := fmt.Sprint("127.0.0.", 2+i%2); i%5 < 4 {
			b.waiting(from)
		} else {
			b.clientFrom(from)
		}
	}
	close(b.goOn)
	b.peer.expect("* OK ")
	b.peer.expect("a OK ")
}

// With every place taken by clients that have proved who they are, a newcomer is refused.
func TestPlacesOfTheProvedStay(t *testing.T) {
	for limits, outcome := range map[Limits]Outcome{
		{Unauthenticated: 1}:           OutcomeLimitUnsigned,
		{UnauthenticatedPerAddress: 1}: OutcomeLimitUnsignedAddress,
	} {
		t.Run(outcome.String(), func(t *testing.T) {
			h := start(t, TLSNone, func(o *Options) { o.Settings.Limits = completedLimits(limits) })
			served, goOn := make(chan struct{}), make(chan struct{})
			h.tier.route = func(user string) (backend.Route, error) {
				return backend.Route{User: user, Servers: []string{"mbx1"}, Mode: directory.ModeMaster}, nil
			}
			h.tier.signIn = func(_ context.Context, q backend.SignInRequest) (*backend.Link, error) {
				close(served)
				<-goOn
				return fakeLink(q), nil
			}
			proved := h.client()
			proved.send("a LOGIN bob secret\r\n")
			<-served
			if told := h.dial().rest(); told != "* BYE [LIMIT] Too many connections.\r\n" {
				t.Errorf("told %q", told)
			}
			if h.ended(outcome) != 1 {
				t.Error("that is not counted")
			}
			close(goOn)
			proved.expect("* OK ")
			waitUntil(t, func() bool { unsigned, _ := h.server.admission.counts(); return unsigned == 0 })
			h.client() // there is room again
		})
	}
}

// A trusted network is not bound as an address; the addresses that it speaks for are.
func TestTrustedNetworksHaveTheirPlacesApart(t *testing.T) {
	h := behindProxy(t, TLSNone, func(o *Options) { o.Settings.Limits.UnauthenticatedPerAddress = 2 })
	connect := func(addr string) *peer {
		p := h.dial()
		p.send("PROXY TCP4 " + addr + " 192.0.2.8 5000 993\r\n")
		p.expect("* OK ")
		return p
	}
	longest := connect("192.0.2.1")
	for _, addr := range []string{"192.0.2.2", "192.0.2.2", "192.0.2.3", "192.0.2.3", "192.0.2.1", "192.0.2.1"} {
		connect(addr)
	}
	longest.expect("* BYE [UNAVAILABLE] ")
	waitUntil(t, func() bool { return h.ended(OutcomeGaveWayAddress) == 1 })
}

// exchanges returns how many exchanges have become silent so far.
func (h *harness) exchanges() int {
	n := int(h.ended(OutcomeGaveWayAddress))
	a := h.server.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.origins {
		n += o.exchanges.number
	}
	return n
}

// Of one address's silent exchanges with mailbox servers, each of which holds a connection there, a bounded number
// stays.
func TestSilentExchangesAreBounded(t *testing.T) {
	h := start(t, TLSNone, func(o *Options) {
		o.Settings.Limits.UnauthenticatedPerAddress = 1000
		o.Settings.Tier.(*fakeTier).mechanisms = []string{"SCRAM-SHA-256", "PLAIN"}
	})
	h.tier.signIn = func(ctx context.Context, q backend.SignInRequest) (*backend.Link, error) {
		if q.Credential.Mechanism != "PLAIN" {
			if _, err := q.AnswerChallenge(ctx, []byte("r=abc,s=abc,i=4096")); err != nil {
				return nil, &backend.Error{Kind: backend.KindClient, Phase: backend.PhaseSignIn, Err: err}
			}
		}
		return fakeLink(q), nil
	}
	var all []*peer
	for i := range maxExchanges + 3 {
		p := h.client()
		p.send("a AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2Iscj1hYmM=\r\n") // n,,n=bob,r=abc
		p.expect("+ ")
		waitUntil(t, func() bool { return h.exchanges() == i+1 }) // it is silent from here on, before the next
		all = append(all, p)
	}
	for _, p := range all[:3] {
		p.expect("* BYE [UNAVAILABLE] ")
	}
	p := h.client()
	p.send("a AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=\r\n")
	p.expect("* OK ")
	p.expect("a OK ")
	all[3].send("Yz1iaXdz\r\n")
	all[3].expect("* OK ")
}

// The place of a user is taken by those who have proved who they are, and by nobody before.
func TestUsersPlacesAreTakenAfterTheAnswer(t *testing.T) {
	h := start(t, TLSNone, func(o *Options) { o.Settings.Limits.ConnectionsPerUser = 1 })
	wrong, goOn := make(chan struct{}, 9), make(chan struct{})
	h.tier.signIn = func(_ context.Context, q backend.SignInRequest) (*backend.Link, error) {
		if passwordOf(q) != "secret" {
			wrong <- struct{}{}
			<-goOn
			return nil, &backend.Error{Kind: backend.KindBadCredential, Phase: backend.PhaseSignIn}
		}
		return fakeLink(q), nil
	}
	guesser := h.client()
	guesser.send("a LOGIN bob wrong\r\n")
	h.await(wrong)
	p := h.clientFrom("127.0.0.2")
	p.send("a LOGIN bob secret\r\n")
	p.expect("* OK ")
	p.expect("a OK ")

	second := h.client() // bob is in, and only who knows the password learns so
	second.send("a LOGIN bob guess\r\n")
	h.await(wrong)
	close(goOn)
	second.expect("a NO [AUTHENTICATIONFAILED] ")
	second.send("b LOGIN bob secret\r\n")
	second.expect("b NO [LIMIT] ")
	if !h.server.authDelays.knows(netip.MustParseAddr("127.0.0.1"), "bob") {
		t.Error("the proof counts for nothing")
	}
}

func (h *harness) await(c <-chan struct{}) {
	h.t.Helper()
	waitUntil(h.t, func() bool { return len(c) > 0 })
	<-c
}
