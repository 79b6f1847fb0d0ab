package proxy

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// A server that goes on with another's memory has the same delays, knows the same users, and lets as many guesses
// through.
func TestMemory(t *testing.T) {
	now := time.Unix(1e9, 0)
	clock := func() time.Time { return now }
	keys := keyHash{1, 2}
	before := &Server{authDelays: newAuthDelays(keys, clock), guesses: newGuessLimiter(keys, clock, nil)}
	home, office := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	before.authDelays.fail(home, "bob", authDelayDefaults)
	before.authDelays.fail(home, "bob", authDelayDefaults)
	before.authDelays.succeed(office, "ann")
	now = now.Add(-goodTime)
	before.authDelays.succeed(office, "eve") // long ago
	now = now.Add(goodTime)
	o := GuessOptions{AtOnce: 3, PerMinute: 1, AddressAtOnce: 10, AddressPerMinute: 1}
	before.guesses.tryTake(before.guesses.draws(home, "bob", false, o))

	text, err := json.Marshal(before.Memory())
	if err != nil {
		t.Fatal(err)
	}
	var m Memory
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	after := &Server{authDelays: newAuthDelays(m.Keys, clock), guesses: newGuessLimiter(m.Keys, clock, nil)}
	m.recall(after.authDelays, after.guesses)
	if got, want := after.authDelays.failed, before.authDelays.failed; len(got) != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("failures: %v, want %v", got, want)
	}
	if !after.authDelays.knows(office, "ann") || after.authDelays.knows(office, "eve") ||
		after.authDelays.knows(home, "ann") {
		t.Error("other users are known than before")
	}
	if wait := after.authDelays.fail(home, "bob", authDelayDefaults); wait != 8*time.Second {
		t.Errorf("the third failure waits %v", wait)
	}
	bob := after.guesses.draws(home, "bob", false, o)
	left := 0
	for after.guesses.tryTake(bob) {
		left++
	}
	if left != 2 {
		t.Errorf("%d guesses are left, want 2", left)
	}
	now = now.Add(time.Minute)
	if !after.guesses.tryTake(bob) {
		t.Error("no guess came back")
	}
}

// Places that another process's connections take count for all limits, until they are free.
func TestReservedPlaces(t *testing.T) {
	a := newAdmission(time.Now)
	addr := netip.MustParseAddr("192.0.2.7")
	key := addressKey(addr)
	a.reserve(Places{Connections: 3, Addresses: map[netip.Prefix]int{key: 2}, Users: map[string]int{"ann": 2}}, 3)
	own, err := a.enter(addr, Limits{Connections: 4, ConnectionsPerAddress: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := own.claim("ann", 3); err != nil {
		t.Error(err)
	}
	own.sign()
	if _, err := a.enter(addr, Limits{Connections: 4}); err != OutcomeLimitTotal {
		t.Error(err)
	}
	if _, err := a.enter(addr, Limits{ConnectionsPerAddress: 3}); err != OutcomeLimitAddress {
		t.Error(err)
	}
	if err := own.claim("ann", 3); err != OutcomeLimitUser {
		t.Error(err)
	}
	want := Places{Connections: 1, Addresses: map[netip.Prefix]int{key: 1}, Users: map[string]int{"ann": 1}}
	if got := a.places(); !reflect.DeepEqual(got, want) {
		t.Errorf("its own places: %v, want %v", got, want)
	}
	a.reserve(Places{Connections: -3, Addresses: map[netip.Prefix]int{key: -2}, Users: map[string]int{"ann": -2}}, 3)
	own.giveBack()
	if a.total != 0 || len(a.addresses) != 0 || len(a.users) != 0 {
		t.Errorf("left: %d, %v, %v", a.total, a.addresses, a.users)
	}
	if got := a.places().Minus(Places{}); got.Connections != 0 || len(got.Addresses)+len(got.Users) != 0 {
		t.Errorf("left: %v", got)
	}
}
