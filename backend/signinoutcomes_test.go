package backend

import (
	"fmt"
	"hash/maphash"
	"math"
	"testing"
	"time"
)

// outcomesAt returns outcomes with a clock of their own, and users u0 to u9, who have signed in long ago.
func outcomesAt() (t *SigninOutcomes, advance func(time.Duration)) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	t = NewSigninOutcomes(func() time.Time { return now })
	for i := range 10 {
		t.Record("mbx1", fmt.Sprint("u", i), nil)
	}
	now = now.Add(time.Hour)
	return t, func(d time.Duration) { now = now.Add(d) }
}

var closed1 = &Error{Kind: KindClosed, Phase: PhaseGreeting}

// TestOutcomesCountUsers: each user counts once, however often one tries, and what was a window ago does not count.
func TestOutcomesCountUsers(t *testing.T) {
	outcomes, advance := outcomesAt()
	for range 1000 {
		outcomes.Record("mbx1", "u0", closed1)
	}
	outcomes.Record("mbx1", "u1", nil)
	outcomes.Record("mbx1", "u1", closed1)
	outcomes.Record("mbx1", "u2", nil)
	outcomes.Record("mbx2", "u3", closed1)
	got := outcomes.Of("mbx1")
	if got.Users != 3 || got.Failing != 2 || math.Abs(got.Share-0.5) > 1e-9 || got.Last != closed1 {
		t.Errorf("%+v", got)
	}
	advance(OutcomeWindow / 2)
	outcomes.Record("mbx1", "u2", nil)
	advance(OutcomeWindow/2 + slotTime)
	if got := outcomes.Of("mbx1"); got.Users != 1 || got.Failing != 0 || got.Last != nil || got.Succeeded.IsZero() {
		t.Errorf("a window later: %+v", got)
	}
	advance(time.Hour)
	if got := outcomes.Of("mbx1"); got.Users != 0 || got.Share != 0 {
		t.Errorf("an hour later: %+v", got)
	}
}

// TestOutcomesLeaveStrangersOut: who has never signed in neither condemns a server nor hides that it fails, and a
// window's memory is bounded.
func TestOutcomesLeaveStrangersOut(t *testing.T) {
	outcomes, _ := outcomesAt()
	outcomes.Record("mbx1", "u0", closed1)
	for i := range 5000 {
		outcomes.Record("mbx1", fmt.Sprint("stranger", i), closed1)
		outcomes.Record("mbx1", fmt.Sprint("stranger", i), &Error{Kind: KindBadCredential, Phase: PhaseSignIn})
	}
	if got := outcomes.Of("mbx1"); got.Users != 1 || got.Failing != 1 {
		t.Errorf("%+v", got)
	}
	for i := range 2 * knownUsers {
		outcomes.Record("mbx2", fmt.Sprint("user", i), nil)
	}
	last := maphash.String(outcomes.seed, fmt.Sprint("user", 2*knownUsers-1))
	if got := outcomes.Of("mbx2"); got.Users != slotUsers ||
		len(outcomes.known[0])+len(outcomes.known[1]) > knownUsers || !outcomes.knows(last) {
		t.Errorf("%d users in a slot, %d and %d names", got.Users, len(outcomes.known[0]), len(outcomes.known[1]))
	}
}

// TestServersFault: what a user's credential or account, the client or this machine has caused is no server's fault.
func TestServersFault(t *testing.T) {
	faults := map[Kind][]string{ // codes; "" is none
		KindDial: {""}, KindTLS: {""}, KindGreeting: {""}, KindResting: {""}, KindProtocol: {""}, KindClosed: {""},
		KindTimeout:       {""},
		KindOwnCredential: {""}, KindBye: {"", "UNAVAILABLE", "SERVERBUG"}, KindRefused: {"UNAVAILABLE", "SERVERBUG"},
	}
	for kind := range Kind(NumKinds) {
		for _, code := range []string{"", "UNAVAILABLE", "SERVERBUG", "LIMIT", "ALERT", "INUSE", "EXPIRED",
			"CONTACTADMIN"} {
			if code != "" && kind != KindBye && kind != KindRefused {
				continue
			}
			want := false
			for _, c := range faults[kind] {
				want = want || c == code
			}
			if got := (&Error{Kind: kind, Code: code}).serversFault(); got != want {
				t.Errorf("%v [%s]: %t", kind, code, got)
			}
		}
	}
	if (&Error{Kind: KindRefused, Code: "UNAVAILABLE", Crowded: true}).serversFault() {
		t.Error("the account's connections are used up")
	}
}

// TestOutcomesOfTier: users' sign-ins are counted with their server, those that the circuit breaker refuses too, and a
// probe's are not.
func TestOutcomesOfTier(t *testing.T) {
	well := dialogue{greeting, aliceLogin, signedIn}
	tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, well, dialogue{}, well, dialogue{})))
	for _, homes := range []map[string]string{nil, {alice().User: "db1"}} {
		tier.locator.homes = homes
		link, err := signInAs(t, tier, alice())
		if err != nil {
			t.Fatal(err)
		}
		link.Conn.Close()
		if _, err := signInAs(t, tier, alice()); err == nil {
			t.Fatal("signed in")
		}
		if got := tier.protection.outcomes.Of("mbx1"); got.Users != 1 || got.Share != 0.5 {
			t.Errorf("with health mailboxes %v: %+v", homes, got)
		}
	}
	tier.locator.homes = nil
	tier.protection.circuitBreakers.Configure(CircuitBreakerOptions{Failures: 1, First: time.Hour, Longest: time.Hour})
	tier.protection.circuitBreakers.tested("mbx1", closed1, true)
	if _, err := signInAs(t, tier, alice()); err == nil {
		t.Fatal("signed in")
	}
	if got := tier.protection.outcomes.Of("mbx1"); got.Last == nil || got.Last.Kind != KindResting {
		t.Errorf("with an open breaker: %+v", got)
	}
}

// TestOutcomesShowWhatIsOver: successes since the last failure count the more, the more sign-ins failed before it. A
// server that dies takes no sign-in from then on, and one that half fails takes some between others.
func TestOutcomesShowWhatIsOver(t *testing.T) {
	record := func(outcomes *SigninOutcomes, ends string) {
		for i, end := range ends {
			var e *Error
			if end == 'F' {
				e = closed1
			}
			outcomes.Record("mbx1", fmt.Sprint("u", i%10), e)
		}
	}
	for ends, want := range map[string]struct {
		missing float64
		mixed   bool
	}{
		"":                     {},
		"SSSS":                 {},
		"SSSFFFF":              {},
		"FFFFSSS":              {missing: 3},
		"FSFSFSFSSSS":          {missing: 16. / 7, mixed: true},
		"SSSSFSFFFF":           {},
		"SSSSSSSSSFSSSSSSSSSS": {missing: 1},
	} {
		outcomes, advance := outcomesAt()
		record(outcomes, ends)
		got := outcomes.Of("mbx1")
		if math.Abs(got.Missing()-want.missing) > 1e-9 || got.Mixed() != want.mixed {
			t.Errorf("%q: %v missing, mixed %v: %+v", ends, got.Missing(), got.Mixed(), got)
		}
		if advance(OutcomeWindow + slotTime); outcomes.Of("mbx1").Missing() != 0 || outcomes.Of("mbx1").Mixed() {
			t.Errorf("%q, a window later: %+v", ends, outcomes.Of("mbx1"))
		}
	}
}
