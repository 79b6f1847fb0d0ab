package proxy

import (
	"net/netip"
	"testing"
	"time"
)

// The client that is silent longest gives way once it has been silent for three seconds. Until then a connection of
// the address that has most gives way.
func TestSilenceOfAFewSecondsIsNoReason(t *testing.T) {
	for silent, want := range map[time.Duration]string{
		0: "crowd", 3*time.Second - 1: "crowd", 3 * time.Second: "alone", time.Minute: "alone",
	} {
		now := time.Unix(1e9, 0)
		gate := newAdmission(func() time.Time { return now })
		enter := func(addr string) *client {
			ticket, err := gate.enter(netip.MustParseAddr(addr), Limits{UnauthenticatedPerAddress: 10})
			if err != nil {
				t.Fatal(err)
			}
			c := &client{lingering: true} // it has no socket
			ticket.clientSilent(c)
			return c
		}
		alone := enter("192.0.2.1")
		now = now.Add(silent)
		crowd := []*client{enter("192.0.2.2"), enter("192.0.2.2")}
		if n := gate.shed(1, nil); n != 1 {
			t.Fatalf("%d have given way", n)
		}
		gone := map[*client]string{alone: "alone", crowd[0]: "crowd", crowd[1]: "the later of the crowd"}
		for c, name := range gone {
			if (c.endReason != nil) != (name == want) {
				t.Errorf("silent for %v: %s ends with %v", silent, name, c.endReason)
			}
		}
	}
}
