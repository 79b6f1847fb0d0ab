package proxy

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAdmissionLimits(t *testing.T) {
	tests := []struct {
		name    string
		limits  Limits
		present []string // addresses admitted before
		signed  int      // of those, signed in
		next    string
		want    error
	}{
		{"no limits", Limits{}, []string{"192.0.2.1", "192.0.2.1"}, 0, "192.0.2.1", nil},
		{"total", Limits{Connections: 2}, []string{"192.0.2.1", "192.0.2.2"}, 2, "192.0.2.3", OutcomeLimitTotal},
		{"below total", Limits{Connections: 3}, []string{"192.0.2.1", "192.0.2.2"}, 0, "192.0.2.3", nil},
		{"before sign-in", Limits{Unauthenticated: 1}, []string{"192.0.2.1"}, 0, "192.0.2.3", OutcomeLimitUnsigned},
		{"signed in do not count", Limits{Unauthenticated: 1}, []string{"192.0.2.1"}, 1, "192.0.2.3", nil},
		{"below before sign-in", Limits{Unauthenticated: 3}, []string{"192.0.2.1", "192.0.2.2"}, 0, "192.0.2.3", nil},
		{"several before sign-in", Limits{Unauthenticated: 2}, []string{"192.0.2.1", "192.0.2.2"}, 0, "192.0.2.3",
			OutcomeLimitUnsigned},
		{"far above before sign-in", Limits{Unauthenticated: 2}, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, 0,
			"192.0.2.3", OutcomeLimitUnsigned},
		{"below address", Limits{ConnectionsPerAddress: 3}, []string{"192.0.2.1", "192.0.2.1"}, 1, "192.0.2.1", nil},
		{"several of an address", Limits{ConnectionsPerAddress: 2}, []string{"192.0.2.1", "192.0.2.1"}, 1, "192.0.2.1",
			OutcomeLimitAddress},
		{"below before sign-in of an address", Limits{UnauthenticatedPerAddress: 3},
			[]string{"192.0.2.1", "192.0.2.1"}, 0, "192.0.2.1", nil},
		{"several before sign-in of an address", Limits{UnauthenticatedPerAddress: 2},
			[]string{"192.0.2.1", "192.0.2.1"}, 0, "192.0.2.1",
			OutcomeLimitUnsignedAddress},
		{"address", Limits{ConnectionsPerAddress: 1}, []string{"192.0.2.1"}, 1, "192.0.2.1", OutcomeLimitAddress},
		{"other address", Limits{ConnectionsPerAddress: 1}, []string{"192.0.2.1"}, 0, "192.0.2.2", nil},
		{"mapped address", Limits{ConnectionsPerAddress: 1}, []string{"192.0.2.1"}, 0, "::ffff:192.0.2.1",
			OutcomeLimitAddress},
		{"same network", Limits{ConnectionsPerAddress: 1}, []string{"2001:db8:1:2::3"}, 0, "2001:db8:1:2:f::9",
			OutcomeLimitAddress},
		{"next network", Limits{ConnectionsPerAddress: 1}, []string{"2001:db8:1:2::3"}, 0, "2001:db8:1:3::3", nil},
		{"zones are one network", Limits{ConnectionsPerAddress: 1}, []string{"fe80::1%a"}, 0, "fe80::2%b",
			OutcomeLimitAddress},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			admission := newAdmission(time.Now)
			for i, address := range test.present {
				ticket, err := admission.enter(netip.MustParseAddr(address), Limits{})
				if err != nil {
					t.Fatal(err)
				}
				defer checkEmpty(t, admission)
				defer ticket.giveBack()
				if i < test.signed {
					ticket.sign()
				}
			}
			ticket, err := admission.enter(netip.MustParseAddr(test.next), test.limits)
			if err != test.want {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if ticket != nil {
				ticket.giveBack()
			}
		})
	}
}

func checkEmpty(t *testing.T, admission *admission) {
	t.Helper()
	if admission.total < 0 || admission.unsigned < 0 || admission.total == 0 &&
		(admission.unsigned != 0 || len(admission.addresses)+len(admission.users) != 0) {
		t.Errorf("counts are off: %d in all, %d before sign-in, %v, %v", admission.total, admission.unsigned,
			admission.addresses, admission.users)
	}
}

func TestTicketIsReturnedOnce(t *testing.T) {
	admission := newAdmission(time.Now)
	addr := netip.MustParseAddr("192.0.2.1")
	stays, err := admission.enter(addr, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	goes, err := admission.enter(addr, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := goes.claim("bob", 1); err != nil {
		t.Fatal(err)
	}
	if err := stays.claim("bob", 1); err != OutcomeLimitUser {
		t.Fatalf("second claim: %v", err)
	}
	goes.sign()
	goes.sign()
	goes.giveBack()
	goes.giveBack()
	goes.disclaim()
	goes.sign()
	if unsigned, signed := admission.counts(); unsigned != 1 || signed != 0 {
		t.Fatalf("%d before sign-in, %d after", unsigned, signed)
	}
	if err := goes.claim("bob", 0); err == nil {
		t.Fatal("a returned ticket can still claim")
	}
	if err := stays.claim("bob", 1); err != nil {
		t.Fatalf("claim after the other is gone: %v", err)
	}
	stays.disclaim()
	stays.giveBack()
	checkEmpty(t, admission)
	if admission.total != 0 {
		t.Fatalf("%d left", admission.total)
	}
}

// A user may have as many connections as the limit says, and one more when one has left.
func TestUsersLimit(t *testing.T) {
	admission := newAdmission(time.Now)
	const limit = 3
	var tickets []*ticket
	for range limit + 1 {
		ticket, err := admission.enter(netip.MustParseAddr("192.0.2.1"), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	for i, ticket := range tickets[:limit] {
		if err := ticket.claim("bob", limit); err != nil {
			t.Fatalf("connection %d of %d: %v", i+1, limit, err)
		}
	}
	if err := tickets[limit].claim("bob", limit); err != OutcomeLimitUser {
		t.Errorf("one too many: %v", err)
	}
	if err := tickets[limit].claim("carol", limit); err != nil {
		t.Errorf("another user: %v", err)
	}
	tickets[limit].disclaim()
	tickets[0].giveBack()
	if err := tickets[limit].claim("bob", limit); err != nil {
		t.Errorf("after one has left: %v", err)
	}
	for _, ticket := range tickets {
		ticket.giveBack()
	}
	if admission.total != 0 {
		t.Errorf("%d left", admission.total)
	}
	checkEmpty(t, admission)
}

// Names of users share pieces of memory, and no piece grows with the number of sign-ins: a long-lived session would
// keep all names since the start in memory.
func TestNamesOfUsersAreBounded(t *testing.T) {
	admission := newAdmission(time.Now)
	ticket, err := admission.enter(netip.MustParseAddr("192.0.2.1"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer ticket.giveBack()
	for i := range 10_000 {
		name := fmt.Sprintf("user%d@example.org", i)
		if err := ticket.claim(name, 1); err != nil {
			t.Fatal(err)
		}
		if ticket.user != name || admission.users[name] != 1 {
			t.Fatalf("%q is counted as %q: %d", name, ticket.user, admission.users[name])
		}
		ticket.disclaim()
		if size := admission.names.Cap(); size > 2*namesSize || len(admission.users) != 0 {
			t.Fatalf("after %d names: a piece of %d bytes, %d users", i+1, size, len(admission.users))
		}
	}
	long := strings.Repeat("n", 3*namesSize) // longer than a piece
	if err := ticket.claim(long, 1); err != nil || ticket.user != long {
		t.Errorf("a long name: %v", err)
	}
}

// A connection that turns out to be another address's counts there under the same limits, and leaves its place at the
// first.
func TestMoveToAnotherAddress(t *testing.T) {
	from, to := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, test := range []struct {
		name    string
		limits  Limits
		present int // connections of the new address
		signed  int // of those, signed in
		want    error
	}{
		{"no limits", Limits{}, 3, 0, nil},
		{"below address", Limits{ConnectionsPerAddress: 3}, 2, 2, nil},
		{"several of an address", Limits{ConnectionsPerAddress: 2}, 2, 2, OutcomeLimitAddress},
		{"above address", Limits{ConnectionsPerAddress: 2}, 3, 3, OutcomeLimitAddress},
		{"below before sign-in", Limits{UnauthenticatedPerAddress: 3}, 2, 0, nil},
		{"several before sign-in", Limits{UnauthenticatedPerAddress: 2}, 2, 0, OutcomeLimitUnsignedAddress},
		{"signed in do not count", Limits{UnauthenticatedPerAddress: 2}, 3, 2, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			admission := newAdmission(time.Now)
			enter := func(addr netip.Addr) *ticket {
				ticket, err := admission.enter(addr, Limits{})
				if err != nil {
					t.Fatal(err)
				}
				return ticket
			}
			for i := range test.present {
				if ticket := enter(to); i < test.signed {
					ticket.sign()
				}
			}
			moves := enter(from)
			if err := moves.move(to, test.limits); err != test.want {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			at, before := to, from
			if test.want != nil {
				at, before = from, to
			}
			want := map[netip.Addr]int{to: test.present}
			want[at]++
			if n := admission.addresses[addressKey(to)]; n != want[to] {
				t.Errorf("%d connections of the new address, want %d", n, want[to])
			}
			if n := admission.addresses[addressKey(from)]; n != want[from] {
				t.Errorf("%d connections of the old address, want %d", n, want[from])
			}
			if err := moves.move(at, Limits{ConnectionsPerAddress: 1, UnauthenticatedPerAddress: 1}); err != nil {
				t.Errorf("to where it is: %v", err)
			}
			moves.giveBack()
			if err := moves.move(before, Limits{}); err != nil || admission.addresses[addressKey(from)] != 0 ||
				admission.addresses[addressKey(to)] != test.present {
				t.Errorf("after it has left: %v, %v", err, admission.addresses)
			}
		})
	}
}

// A session that is carried keeps its address in less room, and gives back what it was counted by.
func TestCompactAddress(t *testing.T) {
	for _, text := range []string{"192.0.2.1:5000", "[2001:db8::1]:1", "[::]:0", "0.0.0.0:65535"} {
		a := netip.MustParseAddrPort(text)
		if got := compact(a).AddrPort(); got != a {
			t.Errorf("%v became %v", a, got)
		}
	}
	if got := compact(netip.AddrPort{}).AddrPort(); got.IsValid() || got.Addr() != (netip.Addr{}) {
		t.Errorf("no address became %v", got)
	}
}

// A sign-in for which descriptors are short has others give way, and not itself; it may still have to give way to
// others.
func TestASignInDoesNotShedItself(t *testing.T) {
	admission := newAdmission(time.Now)
	enter := func() (*ticket, *client) {
		ticket, err := admission.enter(netip.MustParseAddr("192.0.2.1"), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		c := &client{lingering: true} // it has no socket
		if !ticket.clientWaits(c) {
			t.Fatal("it had to give way at once")
		}
		return ticket, c
	}
	mine, me := enter()
	if n := admission.shed(16, mine); n != 0 || me.endReason != nil {
		t.Errorf("%d have given way; the sign-in ends with %v", n, me.endReason)
	}
	_, other := enter()
	if n := admission.shed(16, mine); n != 1 || me.endReason != nil || other.endReason != OutcomeGaveWayWaiting {
		t.Errorf("%d have given way; the sign-in ends with %v, the other with %v", n, me.endReason, other.endReason)
	}
	if n := admission.shed(16, nil); n != 1 || me.endReason != OutcomeGaveWayWaiting {
		t.Errorf("%d have given way; the sign-in ends with %v", n, me.endReason)
	}
}

// When descriptors or memory are short, a bounded number of connections before sign-in gives way; any other error ends
// none.
func TestShortagesShed(t *testing.T) {
	const many = shedAtOnce + 3
	for err, want := range map[error]int{
		syscall.EMFILE: shedAtOnce, syscall.ENFILE: shedAtOnce, syscall.ENOMEM: shedAtOnce,
		syscall.ENOBUFS: shedAtOnce, syscall.ECONNABORTED: 0,
	} {
		s := &Server{admission: newAdmission(time.Now)}
		for range many {
			ticket, err := s.admission.enter(netip.MustParseAddr("192.0.2.1"), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			ticket.clientWaits(&client{lingering: true}) // it has no socket
		}
		shed := s.shedIfShort(fmt.Errorf("accept: %w", err), nil)
		if shed != (want > 0) || s.admission.total != many-want {
			t.Errorf("%v: shed %v, and %d of %d are left", err, shed, s.admission.total, many)
		}
	}
}

func TestIdentityOfACertificate(t *testing.T) {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}
	if got := identity(c); got != "alice" {
		t.Errorf("by its common name: %q", got)
	}
	for _, addresses := range [][]string{{"alice@example.org"}, {"alice@example.org", "bob@example.org"}} {
		c.EmailAddresses = addresses
		if got := identity(c); got != "alice@example.org" {
			t.Errorf("by %q: %q", addresses, got)
		}
	}
}
