package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var authDelayDefaults = AuthDelayOptions{First: 2 * time.Second, Longest: 15 * time.Second, Forget: time.Hour}

// clockedAuthDelays have a clock that the test sets.
func clockedAuthDelays() (*authDelays, *time.Time) {
	now := time.Unix(1e9, 0)
	return newAuthDelays(keyHash{}, func() time.Time { return now }), &now
}

func TestAuthDelays(t *testing.T) {
	p, now := clockedAuthDelays()
	const (
		attacker = "192.0.2.66"
		home     = "192.0.2.7"
	)
	o := authDelayDefaults
	o.Exempt = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	fail := func(from, user string, want ...int) {
		t.Helper()
		for i, seconds := range want {
			if got := p.fail(netip.MustParseAddr(from), user, o); got != time.Duration(seconds)*time.Second {
				t.Errorf("failure %d of %s from %s: %v, want %d s", i+1, user, from, got, seconds)
			}
		}
	}
	p.succeed(netip.MustParseAddr(home), "ann")
	fail(attacker, "u1", 2)
	fail(attacker, "u2", 4) // by address, whoever it is
	fail(attacker, "", 8)
	fail(attacker, "u3", 15, 15)
	fail(home, "ann", 2, 4) // as ann alone
	p.succeed(netip.MustParseAddr(home), "ann")
	fail(home, "ann", 2)
	for i := range 6 { // somebody guesses ann's password from everywhere: by user
		fail(fmt.Sprintf("198.51.100.%d", i), "ann", min(2<<(i+1), 15))
	}
	fail("10.1.2.3", "u4", 2)
	fail("10.1.2.3", "u5", 2)
	fail("10.1.2.3", "u5", 4)
	fail("2001:db8::1", "u6", 2)
	fail("2001:db8::2", "u7", 4)     // the same network
	fail("2001:db8:0:1::1", "u8", 2) // another
	*now = now.Add(59 * time.Minute)
	fail(attacker, "u9", 15)
	*now = now.Add(time.Hour)
	fail(attacker, "u10", 2)
	*now = now.Add(24 * time.Hour)
	fail(attacker, "x1", 2)
	fail(home, "x2", 2)
	fail(home, "ann", 4) // the address is no longer hers
	o.First = 0
	fail(attacker, "u1", 0, 0)
}

// However many come, memory is bounded.
func TestAuthDelaysAreBounded(t *testing.T) {
	p, _ := clockedAuthDelays()
	addr := netip.MustParseAddr("2001:db8::")
	for i := range maxAuthDelays + 1000 {
		bytes := addr.As16()
		bytes[2], bytes[3], bytes[4] = byte(i), byte(i>>8), byte(i>>16)
		from := netip.AddrFrom16(bytes)
		p.fail(from, "", authDelayDefaults)
		p.succeed(from, "ann")
	}
	if len(p.failed) > maxAuthDelays || len(p.good) > maxAuthDelays {
		t.Errorf("%d failures and %d good ones are remembered", len(p.failed), len(p.good))
	}
}
