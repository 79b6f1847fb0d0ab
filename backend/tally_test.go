package backend

import (
	"fmt"
	"hash/maphash"
	"math"
	"testing"
	"time"
)

// tallyAt is a tally with a clock of its own, and users u0 to u9, who have signed in long ago.
func tallyAt() (t *Tally, advance func(time.Duration)) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	t = NewTally(func() time.Time { return now })
	for i := range 10 {
		t.Note("mbx1", fmt.Sprint("u", i), nil)
	}
	now = now.Add(time.Hour)
	return t, func(d time.Duration) { now = now.Add(d) }
}

var closed1 = &Error{Kind: KindClosed, Phase: PhaseGreeting}

// TestTallyCountsUsers: each user counts once, however often one tries, and what was a window ago does not count.
func TestTallyCountsUsers(t *testing.T) {
	tally, advance := tallyAt()
	for range 1000 {
		tally.Note("mbx1", "u0", closed1)
	}
	tally.Note("mbx1", "u1", nil)
	tally.Note("mbx1", "u1", closed1)
	tally.Note("mbx1", "u2", nil)
	tally.Note("mbx2", "u3", closed1)
	got := tally.Of("mbx1")
	if got.Users != 3 || got.Failing != 2 || math.Abs(got.Share-0.5) > 1e-9 || got.Last != closed1 {
		t.Errorf("%+v", got)
	}
	advance(TallyWindow / 2)
	tally.Note("mbx1", "u2", nil)
	advance(TallyWindow/2 + tallySlot)
	if got := tally.Of("mbx1"); got.Users != 1 || got.Failing != 0 || got.Last != nil || got.Succeeded.IsZero() {
		t.Errorf("a window later: %+v", got)
	}
	advance(time.Hour)
	if got := tally.Of("mbx1"); got.Users != 0 || got.Share != 0 {
		t.Errorf("an hour later: %+v", got)
	}
}

// TestTallyLeavesStrangersOut: who has never signed in neither condemns a server nor hides that it fails, and a
// window's memory is bounded.
func TestTallyLeavesStrangersOut(t *testing.T) {
	tally, _ := tallyAt()
	tally.Note("mbx1", "u0", closed1)
	for i := range 5000 {
		tally.Note("mbx1", fmt.Sprint("stranger", i), closed1)
		tally.Note("mbx1", fmt.Sprint("stranger", i), &Error{Kind: KindBadCredential, Phase: PhaseSignIn})
	}
	if got := tally.Of("mbx1"); got.Users != 1 || got.Failing != 1 {
		t.Errorf("%+v", got)
	}
	for i := range 2 * tallyNames {
		tally.Note("mbx2", fmt.Sprint("user", i), nil)
	}
	last := maphash.String(tally.seed, fmt.Sprint("user", 2*tallyNames-1))
	if got := tally.Of("mbx2"); got.Users != tallyUsers || len(tally.known[0])+len(tally.known[1]) > tallyNames ||
		!tally.knows(last) {
		t.Errorf("%d users in a slot, %d and %d names", got.Users, len(tally.known[0]), len(tally.known[1]))
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

// TestTallyOfSignIns: users' sign-ins are counted with their server, those that the circuit breaker refuses too, and a
// probe's are not.
func TestTallyOfSignIns(t *testing.T) {
	well := dialogue{greeting, aliceLogin, signedIn}
	tier := tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, well, dialogue{}, well, dialogue{})))
	for _, homes := range []map[string]string{nil, {alice().User: "db1"}} {
		tier.homes = homes
		link, err := signInAs(t, tier, alice())
		if err != nil {
			t.Fatal(err)
		}
		link.Conn.Close()
		if _, err := signInAs(t, tier, alice()); err == nil {
			t.Fatal("signed in")
		}
		if got := tier.tally.Of("mbx1"); got.Users != 1 || got.Share != 0.5 {
			t.Errorf("with health mailboxes %v: %+v", homes, got)
		}
	}
	tier.homes = nil
	tier.circuitBreakers.Configure(CircuitBreakerOptions{Failures: 1, First: time.Hour, Longest: time.Hour})
	tier.circuitBreakers.tested("mbx1", closed1, true)
	if _, err := signInAs(t, tier, alice()); err == nil {
		t.Fatal("signed in")
	}
	if got := tier.tally.Of("mbx1"); got.Last == nil || got.Last.Kind != KindResting {
		t.Errorf("with an open breaker: %+v", got)
	}
}

// TestTallySeesWhatIsOver: successes since the last failure count the more, the more sign-ins failed before it. A
// server that dies takes no sign-in from then on, and one that half fails takes some between others.
func TestTallySeesWhatIsOver(t *testing.T) {
	note := func(tally *Tally, ends string) {
		for i, end := range ends {
			var e *Error
			if end == 'F' {
				e = closed1
			}
			tally.Note("mbx1", fmt.Sprint("u", i%10), e)
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
		tally, advance := tallyAt()
		note(tally, ends)
		got := tally.Of("mbx1")
		if math.Abs(got.Missing()-want.missing) > 1e-9 || got.Mixed() != want.mixed {
			t.Errorf("%q: %v missing, mixed %v: %+v", ends, got.Missing(), got.Mixed(), got)
		}
		if advance(TallyWindow + tallySlot); tally.Of("mbx1").Missing() != 0 || tally.Of("mbx1").Mixed() {
			t.Errorf("%q, a window later: %+v", ends, tally.Of("mbx1"))
		}
	}
}
