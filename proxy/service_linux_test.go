package proxy

import (
	"net"
	"testing"

	"portico/backend/backendtest/testkit"
)

// Out of service new clients are told so, sessions go on, and who comes from this very address gets in.
func TestOutOfService(t *testing.T) {
	testkit.NoLeaks(t)
	h := start(t, TLSNone, realTier(t))
	stranger := func() *peer {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		conn, err := d.Dial("tcp", h.address)
		if err != nil {
			t.Fatal(err)
		}
		return newPeer(t, conn)
	}
	before := stranger()
	before.expect("* OK [CAPABILITY ")
	h.server.SetService(false)
	stranger().expect("* BYE [UNAVAILABLE] Out of service")
	before.send("a LOGIN bob secret\r\n")
	before.until("a OK ")
	h.client().send("b NOOP\r\n")
	h.server.SetService(true)
	stranger().expect("* OK [CAPABILITY ")
	if n := h.ended(OutcomeOutOfService); n != 1 {
		t.Errorf("%v were refused", n)
	}
}
