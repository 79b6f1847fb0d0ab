package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend"
	"portico/sleep"
)

var guessDefaults = GuessOptions{AtOnce: 10, PerMinute: 30, AddressAtOnce: 120, AddressPerMinute: 60}

// verifiedAtOnce is how many guesses one after the other find tokens.
func verifiedAtOnce(g *guessLimiter, from func(int) (addr, user string)) (n int) {
	for i := range 10_000 {
		addr, user := from(i)
		if !g.tryTake(g.draws(netip.MustParseAddr(addr), user, false, guessDefaults)) {
			return i
		}
	}
	return 10_000
}

func one(addr, user string) func(int) (string, string) {
	return func(int) (string, string) { return addr, user }
}

// However a guesser goes about it, the number of guesses of an address is bounded, at once and in a minute.
func TestGuessesOfAnAddress(t *testing.T) {
	const guesser = "192.0.2.66"
	everybody := func(i int) (string, string) { return guesser, fmt.Sprint("user", i) }
	hosts := func(i int) (string, string) { return fmt.Sprintf("2001:db8::%x", i), "ann" }
	networks := func(i int) (string, string) { return fmt.Sprintf("2001:db8:0:%x::1", i), "ann" }
	for name, c := range map[string]struct {
		from              func(int) (string, string)
		atOnce, perMinute int
	}{
		"one user":                 {one(guesser, "ann"), 10, 30},
		"all users":                {everybody, 120, 60},
		"hosts of an IPv6 network": {hosts, 10, 30},
		"networks of an IPv6 site": {networks, 960, 480},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			g := newGuessLimiter(keyHash{}, func() time.Time { return now }, nil)
			if got := verifiedAtOnce(g, c.from); got != c.atOnce {
				t.Errorf("%d at once, want %d", got, c.atOnce)
			}
			got := 0
			for range 600 {
				now = now.Add(time.Second)
				got += verifiedAtOnce(g, c.from)
			}
			if most := 10 * c.perMinute; got < most-2 || got > most {
				t.Errorf("%d in ten minutes, want %d", got, most)
			}
		})
	}
}

// While one user is guessed at, the user elsewhere and others at the guesser's address have their tokens. Where all
// are guessed at, those who have signed in from there have theirs.
func TestGuessesTakeNothingFromOthers(t *testing.T) {
	g := newGuessLimiter(keyHash{}, func() time.Time { return time.Unix(1e9, 0) }, nil)
	take := func(addr, user string, known bool) bool {
		return g.tryTake(g.draws(netip.MustParseAddr(addr), user, known, guessDefaults))
	}
	for i := range 24 { // users
		verifiedAtOnce(g, one("192.0.2.66", fmt.Sprint("victim", i)))
	}
	if take("192.0.2.66", "victim1", true) {
		t.Error("somebody who signs in from the guesser's address buys guesses")
	}
	if !take("192.0.2.7", "victim1", false) || !take("192.0.2.66", "ann", false) {
		t.Error("others wait for a guesser")
	}
	verifiedAtOnce(g, func(i int) (string, string) { return "192.0.2.66", fmt.Sprint("user", i) })
	if take("192.0.2.66", "bob", false) {
		t.Error("an address guesses without end")
	}
	if !take("192.0.2.66", "ann", true) {
		t.Error("a user of the address waits for a guesser")
	}
}

// Right credentials, and those that nobody has verified, cost nothing, and leave nothing behind.
func TestGuessesGivenBack(t *testing.T) {
	g := newGuessLimiter(keyHash{}, func() time.Time { return time.Unix(1e9, 0) }, nil)
	tolls := g.draws(netip.MustParseAddr("2001:db8::1"), "ann", false, guessDefaults)
	for range 1000 {
		if !g.tryTake(tolls) {
			t.Fatal("a right credential has cost something")
		}
		g.giveBack(tolls)
	}
	if len(g.buckets) != 0 {
		t.Errorf("%d buckets are kept", len(g.buckets))
	}
}

// Who finds no token waits for one, in order, a bounded time; a token given back is there at once; and who leaves
// makes room.
func TestGuessesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuessLimiter(keyHash{}, time.Now, sleep.For)
		tolls := g.draws(netip.MustParseAddr("192.0.2.66"), "ann", false, guessDefaults)
		verifiedAtOnce(g, one("192.0.2.66", "ann"))
		began := time.Now()
		wait := func(ctx context.Context) <-chan string {
			c := make(chan string, 1)
			go func() {
				err := g.take(ctx, tolls)
				c <- fmt.Sprint(time.Since(began).Round(time.Second), " ", err)
			}()
			synctest.Wait()
			return c
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		leaves, first, second := wait(ctx), wait(t.Context()), wait(t.Context())
		cancel(OutcomeClientGone)
		for _, c := range []struct {
			of   <-chan string
			want string
		}{{leaves, "0s " + OutcomeClientGone.Error()}, {first, "2s <nil>"}, {second, "4s <nil>"}} {
			if got := <-c.of; got != c.want {
				t.Errorf("waited %q, want %q", got, c.want)
			}
		}
		began = time.Now()
		third := wait(t.Context())
		g.giveBack(tolls)
		if got := <-third; got != "0s <nil>" {
			t.Errorf("a token was given back, and the next waited %q", got)
		}
		var all []<-chan string
		for range 40 {
			all = append(all, wait(t.Context()))
		}
		if err := g.take(t.Context(), tolls); !errors.Is(err, OutcomeTooManyGuesses) {
			t.Errorf("%v beyond the bound", err)
		}
		in := 0
		for _, c := range all {
			if got := <-c; strings.HasSuffix(got, "<nil>") {
				in++
			} else if !strings.HasPrefix(got, "15s ") {
				t.Errorf("waited %q", got)
			}
		}
		if in != 7 { // one each two seconds, for fifteen
			t.Errorf("%d were verified", in)
		}
	})
}

// The waits for all tokens of one guess are bounded together.
func TestGuessesWaitOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuessLimiter(keyHash{}, time.Now, sleep.For)
		addr := netip.MustParseAddr("2001:db8::1")
		tolls := g.draws(addr, "ann", false, GuessOptions{AtOnce: 1, PerMinute: 6, AddressAtOnce: 1,
			AddressPerMinute: 6})
		for range 3 * len(tolls) {
			for _, c := range tolls { // each bucket by itself, so that none is full when its turn comes
				g.tryTake([]tokenDraw{c})
			}
		}
		began := time.Now()
		err := g.take(t.Context(), tolls)
		if took := time.Since(began); took != maxGuessWait || !errors.Is(err, OutcomeTooManyGuesses) {
			t.Errorf("waited %v: %v", took, err)
		}
	})
}

// Memory is bounded, and a guesser who fills it with other buckets is not rid of an empty one.
func TestGuessesAreBounded(t *testing.T) {
	g := newGuessLimiter(keyHash{}, func() time.Time { return time.Unix(1e9, 0) }, nil)
	emptied := make([][]tokenDraw, 200)
	for i := range emptied {
		emptied[i] = g.draws(netip.MustParseAddr("192.0.2.66"), fmt.Sprint("ann", i), true, guessDefaults)
		for g.tryTake(emptied[i]) {
		}
	}
	addr := netip.MustParseAddr("2001:db8::")
	for i := range maxBuckets + maxBuckets/10 {
		bytes := addr.As16()
		bytes[2], bytes[3], bytes[4] = byte(i), byte(i>>8), byte(i>>16)
		g.tryTake(g.draws(netip.AddrFrom16(bytes), "ann", true, guessDefaults))
	}
	if len(g.buckets) > maxBuckets+maxDraws {
		t.Errorf("%d buckets", len(g.buckets))
	}
	further := 0
	for _, draws := range emptied {
		if g.tryTake(draws) {
			further++
		}
	}
	if further > 0 {
		t.Errorf("%d of %d empty buckets gave way to fuller ones", further, len(emptied))
	}
}

// guessing starts a server on which few guesses are verified, and counts those.
func guessing(t *testing.T, change func(*Options)) (*harness, *atomic.Int32) {
	t.Helper()
	h := start(t, TLSNone, func(o *Options) {
		o.Settings.Guesses.AtOnce, o.Settings.Guesses.PerMinute = 3, 1
		o.Settings.Limits.FailedSignIns = 100
		o.Settings.DefaultDomain = "example.org"
		o.Settings.Tier.(*fakeTier).mechanisms = []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"}
		if change != nil {
			change(o)
		}
	})
	var verified atomic.Int32
	h.tier.signIn = func(ctx context.Context, q backend.SignInRequest) (*backend.Link, error) {
		switch passwordOf(q) {
		case "secret":
			return fakeLink(q), nil
		case "down":
			return nil, &backend.Error{Kind: backend.KindDial, Server: "mbx1", Phase: backend.PhaseDial}
		case "cut":
			verified.Add(1)
			return nil, &backend.Error{Kind: backend.KindClosed, Server: "mbx1", Phase: backend.PhaseSignIn}
		}
		if q.Credential.Mechanism == "SCRAM-SHA-256" {
			if _, err := q.AnswerChallenge(ctx, []byte("r=abc,s=abc,i=4096")); err != nil {
				return nil, &backend.Error{Kind: backend.KindClient, Phase: backend.PhaseSignIn, Err: err}
			}
		}
		verified.Add(1)
		return nil, &backend.Error{Kind: backend.KindBadCredential, Server: "mbx1", Phase: backend.PhaseSignIn}
	}
	return h, &verified
}

// However a client connects, signs in and spells the user, its guesses are counted together.
func TestGuessesAreCountedHoweverTheyCome(t *testing.T) {
	h, verified := guessing(t, nil)
	guess := func(parts ...string) {
		t.Helper()
		p := h.client()
		for i, part := range parts {
			if i > 0 {
				p.expect("+ ")
			}
			p.send(part)
		}
		p.expect("a NO ")
		p.Close()
	}
	guess("a LOGIN bob wrong\r\n")
	guess("a AUTHENTICATE PLAIN AEJPQkBleGFtcGxlLm9yZwB3cm9uZw==\r\n") // BOB@example.org
	guess("a AUTHENTICATE SCRAM-SHA-256 biwsbj1Cb2Iscj1hYmM=\r\n", "Yz1iaXdz\r\n")
	for range 3 {
		guess("a AUTHENTICATE LOGIN Ym9i\r\n", "d3Jvbmc=\r\n")
		guess("a AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2Iscj1hYmM=\r\n", "Yz1iaXdz\r\n")
		guess("a LOGIN bob@Example.ORG wrong\r\n")
		guess("a LOGIN bob secret\r\n") // is not verified either
	}
	if got := verified.Load(); got != 3 {
		t.Errorf("%d guesses were verified", got)
	}
	if got := h.refused(OutcomeTooManyGuesses); got != 12 {
		t.Errorf("counted %v times", got)
	}
	if h.metric("portico_signin_guesses_delayed_total") == 0 {
		t.Error("waits are not counted")
	}
	p := h.client()
	p.send("a LOGIN ann secret\r\n")
	p.expect("* OK ")
}

// Guesses count for the user that the directory knows, whatever name the client gives. The other name has no guess
// counted.
func TestGuessesCountForTheUserThatTheDirectoryKnows(t *testing.T) {
	h, verified := guessing(t, nil)
	h.tier.route = func(string) (backend.Route, error) {
		return backend.Route{User: "bob", Database: "db1", Servers: []string{"mbx1"}}, nil
	}
	for range 2 {
		for _, name := range []string{"alias", "other", "bob"} {
			p := h.client()
			p.send("a LOGIN " + name + " wrong\r\n")
			p.expect("a NO ")
			p.Close()
		}
	}
	if got := verified.Load(); got != 3 {
		t.Errorf("%d guesses were verified", got)
	}
	for _, p := range h.server.AuthDelays() {
		if p.Burst > 0 && p.User != "" && p.User != "bob" {
			t.Errorf("%q has %v guesses of %v", p.User, p.Guesses, p.Burst)
		}
	}
}

// Hanging up spares no guesser anything, be it while a guess is verified or before the answer is due; what was not
// verified costs nothing.
func TestGuessesOfClientsThatHangUp(t *testing.T) {
	h, verified := guessing(t, func(o *Options) { o.Sleep = sleep.For })
	for range 20 { // nobody has verified these
		p := h.client()
		p.send("a LOGIN bob down\r\n")
		p.expect("a NO [UNAVAILABLE] ")
	}
	for i := range 10 {
		p := h.client()
		p.send([]string{"a LOGIN bob wrong\r\n", "a LOGIN bob cut\r\n"}[i%2])
		if i < 3 {
			waitUntil(t, func() bool { return int(verified.Load()) == i+1 })
		}
		p.Close()
	}
	waitUntil(t, func() bool { return h.ended(OutcomeClientGone) == 10 })
	if got := verified.Load(); got != 3 {
		t.Errorf("%d guesses were verified", got)
	}
}

// A client that has gone gives its place back at once, while its refusal waits and while its guess does. Bytes that it
// has sent meanwhile are no end, and closing only its own side gets it no answer.
func TestWaitsEndWithTheirClients(t *testing.T) {
	const forever = time.Hour
	for name, c := range map[string]struct {
		guesses int
		waiting string
	}{"refusal": {10, "portico_signin_penalty_seconds_total"}, "guess": {1, "portico_signin_guesses_delayed_total"}} {
		t.Run(name, func(t *testing.T) {
			h, _ := guessing(t, func(o *Options) {
				o.Sleep = func(ctx context.Context, _ time.Duration) error { return sleep.For(ctx, forever) }
				o.Settings.Guesses.AtOnce = c.guesses
			})
			counted := 0.0
			send := func() *peer {
				p := h.client()
				p.send("a LOGIN bob wrong\r\nb NOOP\r\n")
				waitUntil(t, func() bool {
					return h.metric("portico_signin_penalty_seconds_total")+
						h.metric("portico_signin_guesses_delayed_total") > counted
				})
				counted = h.metric("portico_signin_penalty_seconds_total") +
					h.metric("portico_signin_guesses_delayed_total")
				return p
			}
			var stays *peer
			if c.guesses == 1 {
				stays = send() // and takes the token
			}
			closes, half := send(), send()
			closes.Close()
			half.Conn.(interface{ CloseWrite() error }).CloseWrite()
			if got, _ := io.ReadAll(half.in); len(got) > 0 {
				t.Errorf("an answer that was not due: %q", got)
			}
			waitUntil(t, func() bool { return h.ended(OutcomeClientGone) == 2 })
			if h.metric(c.waiting) == 0 {
				t.Error("nobody has waited")
			}
			if stays != nil {
				stays.Close()
			}
			last := send()
			last.send("c NOOP\r\n")
			h.client()
			if h.metric("portico_sessions", "state", "signing_in") < 2 {
				t.Error("a client that is still there was given up")
			}
		})
	}
}
