package proxy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"portico/backend/backendtest/testkit"
)

// Lines of one address and kind are bounded; other addresses and kinds have their own; what was left out is counted.
func TestLinesAreBounded(t *testing.T) {
	var l lineLimiter
	now := time.Unix(1000, 0)
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	written := func(from netip.Addr, o Outcome, signIn bool, tries int) (n int) {
		for range tries {
			if _, ok := l.take(from, o, signIn, now); ok {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		from    netip.Addr
		outcome Outcome
		signIn  bool
		want    int
	}{
		{one, OutcomeSyntax, false, linesAtOnce}, {one, OutcomeSyntax, false, 0},
		{one, OutcomeHTTP, false, linesAtOnce},
		{other, OutcomeSyntax, false, linesAtOnce}, {netip.MustParseAddr("2001:db8::2"), OutcomeSyntax, false, 0},
		{one, OutcomeBadCredential, true, signInsAtOnce},
		{netip.MustParseAddr("::ffff:192.0.2.1"), OutcomeBadCredential, true, 0},
	} {
		if got := written(c.from, c.outcome, c.signIn, 1000); got != c.want {
			t.Errorf("%v %v: %d lines of 1000, want %d", c.from, c.outcome, got, c.want)
		}
	}
	now = now.Add(linePause)
	if leftOut, ok := l.take(one, OutcomeSyntax, false, now); !ok || leftOut != 2000-linesAtOnce {
		t.Errorf("after a pause: %v, %d left out", ok, leftOut)
	}
	if _, ok := l.take(one, OutcomeSyntax, false, now); ok {
		t.Error("two lines after one pause")
	}
}

// What was left out is told when a flood is over, or the server ends, and nothing is remembered for ever.
func TestLinesLeftOutAreReported(t *testing.T) {
	var l lineLimiter
	now := time.Unix(1000, 0)
	from := netip.MustParseAddr("192.0.2.1")
	for range linesAtOnce + 5 {
		l.take(from, OutcomeSyntax, false, now)
	}
	report := func(all bool) string {
		var log testkit.Log
		l.report(zerolog.New(&log), now, all)
		return log.String()
	}
	if got := report(false); got != "" {
		t.Errorf("during the flood: %s", got)
	}
	now = now.Add(linesForget)
	if got := report(false); !strings.Contains(got, `"from":"192.0.2.1/32","result":"syntax","left_out":5`) {
		t.Errorf("after the flood: %s", got)
	}
	now = now.Add(linesAtOnce * linePause)
	if got := report(false); got != "" || len(l.counts) != 0 {
		t.Errorf("later: %s, %d kinds", got, len(l.counts))
	}
	for range linesAtOnce + 1 {
		l.take(from, OutcomeSyntax, false, now)
	}
	if got := report(true); !strings.Contains(got, `"left_out":1`) {
		t.Errorf("at the end: %s", got)
	}

	for i := range 2 * maxLineKinds {
		l.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), OutcomeSyntax, false, now)
	}
	if n := len(l.counts); n > maxLineKinds+1 {
		t.Errorf("%d kinds are remembered", n)
	}
	if got := report(true); !strings.Contains(got, `"from":"others"`) {
		t.Errorf("the others: %s", got)
	}
}

// A client that sends bad commands on one connection after the other writes a few lines.
func TestAFloodOfBadCommandsIsAFewLines(t *testing.T) {
	h := start(t, TLSNone, func(o *Options) { o.Settings.Limits.BadCommands = 10 })
	const connections = 30
	for range connections {
		p := h.client()
		p.send(strings.Repeat("a AUTHENTICATE NONE\r\n", 10))
		p.until("* BYE ")
	}
	waitUntil(t, func() bool { return h.ended(OutcomeTooManyBad) == connections })
	log := h.log.String()
	if n := strings.Count(log, `"result":"no_mechanism"`); n > signInsAtOnce+5 {
		t.Errorf("%d lines of %d bad commands", n, connections*10)
	}
	if n := strings.Count(log, `"message":"too many bad commands"`); n > linesAtOnce+1 {
		t.Errorf("%d lines of %d connections", n, connections)
	}
	h.server.Close()
	if log := h.log.String(); !strings.Contains(log, `"message":"log lines about a client suppressed"`) {
		t.Errorf("nothing is said of what was left out: %s", log)
	}
}

// The line of a sign-in names the user, the mechanism, TLS, the result and the server, always in this order.
// A line about another command names the user of the last sign-in.
func TestLineOfASignIn(t *testing.T) {
	h := start(t, TLSNone, nil)
	p := h.client()
	p.send("a LOGIN bob wrong\r\n")
	p.expect("a NO ")
	p.send("x FETCH\r\n") // is said to come from the user of the last attempt
	p.expect("x BAD ")
	p.send("b LOGIN ann secret\r\n")
	p.expect("* OK ")
	<-h.relay.added
	h.server.Close()
	for _, want := range []string{
		`"user":"bob","mechanism":"command","tls":"none","result":"bad_credential","server":""`,
		`"user":"ann","mechanism":"command","tls":"none","result":"signed_in","server":"mbx1"`,
		`"user":"bob","message":"command not valid before sign-in"`,
	} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("no %s in\n%s", want, h.log)
		}
	}
}
