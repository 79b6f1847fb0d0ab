package proxy

import (
	"net/netip"
	"strings"
	"testing"

	"portico/backend/backendtest/testkit"
)

// A pass lets the connection from its source through the sign-in, once, without a mailbox server; it opens nothing
// else, and nobody else gets anything by it.
func TestProbePass(t *testing.T) {
	testkit.NoLeaks(t)
	h := start(t, TLSNone, realTier(t))
	p, stranger := h.client(), h.client()
	source := netip.MustParseAddrPort(p.LocalAddr().String())
	revoke := h.server.Admit(ProbePass{Source: source, Secret: "once-only", Password: "secret"})
	defer revoke()
	stranger.send("a LOGIN bob once-only\r\n")
	stranger.expect("a NO [AUTHENTICATIONFAILED] ")
	p.send("a LOGIN bob wrong\r\n")
	p.expect("a NO [AUTHENTICATIONFAILED] ")
	p.send("b LOGIN bob once-only\r\nc SELECT INBOX\r\nd LOGIN bob secret\r\ne NOOP\r\nf LOGOUT\r\n")
	p.expect("b OK ")
	p.expect("c BAD ")
	p.expect("d BAD ")
	p.expect("e OK ")
	p.expect("* BYE ")
	p.expect("f OK ")
	p.rest()
	if n := h.ended(OutcomeSignedIn); n != 0 {
		t.Errorf("%v sessions were handed over", n)
	}

	again := h.client()
	used := h.server.Admit(ProbePass{Source: netip.MustParseAddrPort(again.LocalAddr().String()), Secret: "gone"})
	used()
	again.send("a LOGIN bob gone\r\n")
	again.expect("a NO [AUTHENTICATIONFAILED] ")
	if strings.Contains(h.log.String(), "once-only") {
		t.Error("the secret is in the log")
	}
}
